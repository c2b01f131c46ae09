"""Times of GPU kernels without events."""

"""HBM-PIM (Samsung): command streams of its kernels, one channel's controller, and runs of commands as one event."""

"""Times of an FPGA overlay without events: what its ports draw, and how deep its pipelines are."""

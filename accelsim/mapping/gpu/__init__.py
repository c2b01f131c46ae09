"""How a GPU runs an operator: tiles over SMs in waves, double-buffered loads through L2 and memory."""

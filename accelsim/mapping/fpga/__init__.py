"""How an FPGA overlay runs an operator: instructions with issue and pipeline depth, tiles through its ports, rings."""

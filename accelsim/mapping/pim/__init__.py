"""What memories with arithmetic of their own do for an operator: layout in the banks, and the commands."""

"""DRAM by its commands: the timing table, controllers, command programs and their energy."""

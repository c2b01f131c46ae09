"""GDDR6-AiM: host instructions, the DRAM commands under them, and their cycles."""

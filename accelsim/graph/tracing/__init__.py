"""How a model of transformers becomes a graph: calls are recorded on the meta device, then layers are folded."""

"""Design-space exploration: sweeps, the store of their results, what runs them, and what they answer."""

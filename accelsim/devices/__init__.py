"""Behaviour of the hardware families: immutable spec, one mutable state, generator processes."""

"""Pictures of a run: what bounds it, where its time and energy go, what happens when."""

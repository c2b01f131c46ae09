"""Rules of a tensor streaming processor without events: where slices are, how fast they work, how chips are joined."""

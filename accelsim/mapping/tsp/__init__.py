"""Static schedules for tensor streaming processors: what runs where and at which cycle."""

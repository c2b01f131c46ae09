"""Memories that compute: one kernel alone, by its commands."""

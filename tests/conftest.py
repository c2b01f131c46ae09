"""How many cases Hypothesis makes: few and always the same by default, many with ACCELSIM_HYPOTHESIS=thorough."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a busy machine must not fail a test that is right. Derandomized: the same commit gives the same verdict.
settings.register_profile("quick", max_examples=30, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("ACCELSIM_HYPOTHESIS", "quick"))

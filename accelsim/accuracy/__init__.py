"""What a number format does to a model beside what it costs: error from executing it, time and energy from pricing it.

`run.accuracy` is the way in; `accelsim accuracy` prints what it gives.
"""

"""Elementary functions with the same bits on every machine.

Each is written in additions, subtractions, multiplications, divisions and square roots of float64, which IEEE 754
defines to the last bit, and in operations on bits; the order is that of the code. Nothing comes from a library of
functions. Coefficients are those of Taylor series, and tables hold exact values rounded to one or two float64; both are
computed by integers from their definition (`constants`).

All take arrays of any shape, element by element, as `accelsim.numerics.arrays.take` does. float64 and integers give
float64. float32 and bfloat16 give float32, float16 gives float16: computed in float64, then rounded once more, which
leaves less than 0.5001 ulp of error. `out` may be an array of the result's shape and dtype, x itself included. Error
bounds are in units in the last place of the exact value, subnormal results included; a zero result carries the sign of
the exact limit, and every NaN is the positive quiet one. float64 results over the whole line, signed zeros and
infinities behave as IEEE 754-2019, section 9.2, says.
"""

from accelsim.numerics.functions.error_function import erf
from accelsim.numerics.functions.exponential import exp, expm1, tanh
from accelsim.numerics.functions.logarithm import log
from accelsim.numerics.functions.root import rsqrt
from accelsim.numerics.functions.trigonometric import cos, sin

__all__ = ["cos", "erf", "exp", "expm1", "log", "rsqrt", "sin", "tanh"]

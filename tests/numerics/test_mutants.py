"""Faults that somebody might make, each put into the package, and the check of the suite that finds it.

A fault that its check does not find is a hole in the suite.
"""

from __future__ import annotations

import inspect

import pytest

from accelsim.numerics import jit
from tests.contract import test_formats as contract
from tests.numerics import (
    test_arithmetic,
    test_arithmetic_blocks,
    test_arithmetic_mma,
    test_block,
    test_flint,
    test_format,
    test_posit,
    test_random,
    test_two_level_block,
)
from tests.numerics.mutation import Mutant, forget, runs_by_default

DECIDED = contract.test_the_array_path_is_the_reference_where_rounding_is_decided
SEARCHED = contract.test_the_array_path_is_a_search_on_ties_all_bfloat16_and_random_patterns
NEAREST = contract.test_the_reference_rounds_to_the_nearest_of_all_values
ROUNDINGS = contract.test_every_rounding_and_overflow_is_the_reference
ROUNDINGS_16 = contract.test_every_rounding_of_sixteen_bits_is_the_reference
STOCHASTIC = contract.test_stochastic_rounding_is_the_reference_for_every_random_integer
DECODED = contract.test_decoding_every_code_is_the_reference_and_encoding_its_value_comes_back
QUANTIZED = contract.test_quantizing_is_decoding_what_was_encoded
WIDE = contract.test_a_wide_format_is_the_reference_on_ties_and_random_patterns
SCALED = contract.test_codes_and_scales_are_those_of_the_reference
PACKED = contract.test_packing_and_unpacking_are_inverses
TILES = test_arithmetic_mma.test_every_tile_equals_mma_sim
SAMPLED = test_arithmetic_mma.test_numpy_and_the_reference_equal_mma_sim
SUMS = test_arithmetic.test_arrays_equal_the_reference

NUMPY = {"path": "numpy"}
COMPILED = {"path": "compiled"}
HELD = (contract._made, test_arithmetic_mma.table)  # caches of codecs
FP16 = {"name": "fp16", "double": True, **NUMPY}


def tile(preset: str) -> dict[str, object]:
    return {"case": next(case for case in test_arithmetic_mma.CASES if case.preset == preset)}


FLOATS = (
    Mutant("ties away", "fast.float:FloatCodec._up", "rest + odd > half", "rest >= half", DECIDED, FP16),
    Mutant("truncation for nearest", "fast.float:FloatCodec._up", "rest + odd > half", "rest < 0", DECIDED, FP16),
    Mutant("ties to odd", "fast.float:FloatCodec._up", "rest + odd > half", "rest + 1 - odd > half", DECIDED, FP16),
    Mutant(
        "sticky bits dropped", "fast.float:FloatCodec._round", "rest = whole - (kept << shift)",
        "rest = (whole - (kept << shift)) >> (shift - np.uint64(2)) << (shift - np.uint64(2))", DECIDED, FP16,
    ),
    Mutant(
        "overflow judged before rounding", "fast.float:FloatCodec._encode", "over = number > np.uint64(self._finite)",
        "over = np.abs(wide) > self._largest", DECIDED, FP16,
    ),
    Mutant(
        "double rounding through fp32", "fast.float:FloatCodec._encode", "widened(x)",
        "np.clip(widened(x), -1e38, 1e38).astype(np.float32).astype(np.float64)", DECIDED, FP16,
    ),
    Mutant(
        "-0 lost", "fast.float:FloatCodec._encode", "code[(number == 0) & minus] = negative_zero",
        "code[(number == 0) & minus] = 0", DECIDED, FP16,
    ),
    Mutant(
        "subnormals flushed", "fast.float:FloatCodec._round", "rounded: NDArray[np.uint64] = number + up",
        "rounded = np.where(number + up < 1 << self._mantissa, np.uint64(0), number + up)", DECIDED, FP16,
    ),
    Mutant(
        "NaN as the largest", "fast.float:FloatCodec._encode", "= nan, negative_nan", "= self._finite, self._finite",
        DECIDED, FP16,
    ),
    Mutant(
        "upward for away from zero", "fast.float:FloatCodec._up", "up = (rest > 0) & ~minus", "up = rest > 0",
        ROUNDINGS_16, {"name": "bf16", "rounding": "up", **NUMPY},
    ),
    Mutant(
        "subnormals with a hidden bit", "fast.float:FloatCodec._values", "(field > 0)", "(field >= 0)",
        DECODED, {"name": "fp8_e5m2", **NUMPY},
    ),
    Mutant(
        "the fp16 container not padded", "fast.float:FloatCodec.unpack", "self._container - self.bits", "0",
        PACKED, {"name": "tf32", "count": 7},
    ),
    Mutant(
        "ties away, compiled", "fast.float_kernels:encode32", "a + half + odd", "a + half + one",
        DECIDED, {"name": "fp8_e4m3", "double": False, **COMPILED}, compiled=True,
    ),
    Mutant(
        "-0 lost, compiled", "fast.float_kernels:quantize32", "u & np.uint32(0x80000000) if (b | keep)",
        "u & np.uint32(0x80000000) if b", QUANTIZED, {"name": "fp8_e4m3", **COMPILED}, compiled=True,
    ),
    Mutant(
        "one binade fewer before the end, compiled", "fast.float_kernels:quantize32_wide", "b > finite", "a > finite",
        QUANTIZED, {"name": "bf16", **COMPILED}, compiled=True,
    ),
)  # fmt: skip

GRIDS = (
    Mutant(
        "double rounding through bf16", "fast.grid_kernels:codes_by_table", "u = bits[i]",
        "u = np.uint32(bits[i] + np.uint32(0x7FFF) + ((bits[i] >> np.uint32(16)) & np.uint32(1))) & 0xFFFF0000",
        DECIDED, {"name": "flint4", "double": False, **COMPILED}, compiled=True,
    ),
    Mutant(
        "the sticky bit of the table dropped", "fast.grid_kernels:codes_by_table", "np.uint32(0x10000)", "np.uint32(0)",
        DECIDED, {"name": "flint4", "double": False, **COMPILED}, compiled=True,
    ),
    Mutant(
        "a table where it is not exact", "fast.grid:GridCodec.table", "return None", "continue",
        DECIDED, {"name": "nf4", "double": False, **NUMPY},
    ),
    Mutant(
        "a tie on the wrong side of a step", "fast.grid_kernels:by_one_step", "x[i] >= steps[run]",
        "x[i] > steps[run]", DECIDED, {"name": "nf4", "double": False, **COMPILED}, compiled=True,
    ),
    Mutant(
        "numbers below float32's place in a table", "fast.grid_kernels:any_below", "return found >", "return found <",
        DECIDED, {"name": "takum8", "double": False, **COMPILED}, compiled=True,
    ),
    Mutant(
        "float64 narrowed to nearest", "fast.grid:narrow_to_odd", "np.where(inexact & ~np.isnan(x), odd, bits)", "bits",
        DECIDED, {"name": "fp8_e4m3", "double": True, **NUMPY},
    ),
    Mutant(
        "posits rounded by value", "fast.grid:step", 'case "nearest-even":\n            return grid.split(low, high)',
        'case "nearest-even":\n            return (low + high) / 2',
        DECIDED, {"name": "posit8", "double": False, **NUMPY},
    ),
    Mutant(
        "half-way points of posits by value", "reference.strings:StringGrid.position",
        "self._place(x) - self.code(low)", "(x - low) / (high - low)", NEAREST, {"name": "posit8"},
    ),
    Mutant(
        "half-way points of posits by value, in both ways", "reference.strings:StringGrid.split",
        "self.magnitude(2 * self.code(low) + 1, self.bits + 1)", "(low + high) / 2",
        test_posit.test_ties_are_on_the_bit_string_and_not_on_the_value,
    ),
    Mutant(
        "posits that become zero", "fast.strings:StringCodec._encode", "np.clip(number, _ONE, self._last)",
        "np.clip(number, 0, self._last)", SEARCHED, {"name": "posit12", "double": True, **NUMPY},
    ),
    Mutant(
        "bits beyond the string dropped", "fast.strings:StringCodec._up",
        "(rest > half) | ((rest == half) & (sticky | odd))", "(rest > half) | ((rest == half) & odd)",
        WIDE, {"name": "posit32", **NUMPY},
    ),
    Mutant(
        "posits that become zero, compiled", "fast.string_kernels:encode32", "max(min(number, last), one)",
        "min(number, last)", SEARCHED, {"name": "posit12", "double": False, **COMPILED}, compiled=True,
    ),
    Mutant(
        "flint: the code 10...0 is zero, as in other exponent codes", "reference.flint:FlintGrid._magnitude",
        "return Fraction(1 << 2 * rest_bits)", "return Fraction(0)", test_flint.test_values_of_four_bits,
    ),
    Mutant(
        "flint: binades by the position of the one", "reference.flint:FlintGrid._magnitude",
        "rest << 2 * zeros + 1", "rest << zeros + 1",
        test_flint.test_codes_of_every_width_follow_the_leading_zeros, {"bits": 4},
    ),
    Mutant(
        "integers that wrap", "fast.integer:IntegerCodec._encode",
        "np.clip(self.rounded(scaled, draws), self._low, self._high)",
        "np.nan_to_num(self.rounded(scaled, draws)) % 2.0**self.bits",
        DECIDED, {"name": "int8", "double": False, **NUMPY},
    ),
    Mutant(
        "x + 1/2 for the nearest", "fast.integer:_nearest_away", "np.where(magnitude - low >= 0.5, low + 1, low)",
        "np.floor(magnitude + 0.5)", ROUNDINGS, {"name": "int8", "rounding": "nearest-away", **COMPILED},
    ),
    Mutant(
        "a negative zero of integers, compiled", "fast.integer_kernels:quantize32", "(r + np.float32(0))", "r",
        QUANTIZED, {"name": "int8", **COMPILED}, compiled=True,
    ),
)  # fmt: skip

DRAWS = (
    Mutant(
        "off by one in floats", "fast.float:FloatCodec._drawn", ">= np.uint64(1 << bits)", "> np.uint64(1 << bits)",
        STOCHASTIC, {"name": "fp8_e4m3"},
    ),
    Mutant(
        "off by one on grids", "fast.grid:GridCodec._stochastic", "finite >= point, finite > point",
        "finite > point, finite >= point", STOCHASTIC, {"name": "flint4"},
    ),
    Mutant(
        "off by one in integers", "fast.integer:IntegerCodec._drawn", "share + draws >= steps",
        "share + draws > steps", STOCHASTIC, {"name": "int8"},
    ),
    Mutant(
        "by chunk", "fast.codec:ElementCodec.quantize", "draws(start, part.size)", "draws(0, part.size)",
        test_format.test_stochastic_rounding_depends_on_seed_and_place_only, {"name": "bf16"}, compiled=True,
    ),
    Mutant(
        "lower bits of the generator's word", "random:draws", "words[0] >> np.uint64(32 - bits)",
        "words[0] & np.uint64((1 << bits) - 1)", test_random.test_draws_depend_on_the_place_only,
    ),
    Mutant(
        "nine rounds of Philox", "random:philox", "range(10)", "range(9)", test_random.test_known_answers,
        dict(zip(("counter", "key", "expected"), test_random.KNOWN[1], strict=True)),
    ),
)  # fmt: skip

BLOCKS = (
    Mutant(
        "log2 in fp32", "fast.block_rules:BlockRules._exponent", "above.astype(np.int64) - int(place)",
        "np.floor(np.log2(np.maximum(amax, 1e-30).astype(np.float32))).astype(np.int64) + 1 - int(place)",
        SCALED, {"name": "mxfp4", "tensor": "edges", **NUMPY},
    ),
    Mutant(
        "one binade off", "fast.block_rules:BlockRules._exponent", "- int(place)", "- int(place) + 1",
        SCALED, {"name": "mxfp4", "tensor": "plain", **NUMPY},
    ),
    Mutant(
        "E8M0 rounds the quotient", "fast.block_rules:BlockRules._shared",
        "np.ldexp(1.0, np.clip(power, -1000, 1000))", "amax / self.limit",
        SCALED, {"name": "mxfp8_e4m3", "tensor": "plain", **NUMPY},
    ),
    Mutant(
        "CEIL raises exact powers", "fast.block_rules:BlockRules._exponent", "mantissa != 0.5", "mantissa != 0",
        test_block.test_scale_rules_of_mxfp4_at_their_edges, {"rule": "ceil", "amax": 4.0, "power": 0},
    ),
    Mutant(
        "EVEN with an exclusive end", "fast.block_rules:BlockRules._exponent", "2 * mantissa >=", "2 * mantissa >",
        test_block.test_scale_rules_of_mxfp4_at_their_edges, {"rule": "even", "amax": 7.0, "power": 1},
    ),
    Mutant(
        "a tail that is scaled with what lies before it", "fast.tiles:per_block", "whole * length :", "-length:",
        SCALED, {"name": "mxfp4", "tensor": "gaps", **NUMPY},
    ),
    Mutant(
        "the scale of the block before, in a tile that begins within a block", "fast.tiles:spread",
        "[:, begin : begin + columns.stop - columns.start]",
        "[:, : columns.stop - columns.start]",
        contract.test_a_long_row_is_its_parts, {"name": "int4_g24", **NUMPY},
    ),
    Mutant(
        "an element of the first block, compiled", "fast.block_kernels:quantize_float",
        "amax = np.uint32(0)\n", "amax = np.uint32(source[r * n] & np.uint32(0x7FFFFFFF))\n",
        SCALED, {"name": "mxfp4", "tensor": "spread", **COMPILED}, compiled=True,
    ),
    Mutant(
        "sums rounded to nearest", "fast.odd:total", "to_odd(*two_sum(a, np.asarray(b)))", "a + b",
        test_block.test_a_range_beside_a_tie_of_the_scale_is_exact,
    ),
    Mutant(
        "a zero scale divides", "fast.odd:quotient", "scale == 0", "scale < 0",
        test_block.test_other_blocks_equal_the_reference, {"name": "int4_g32"},
    ),
    Mutant(
        "reciprocal for division", "fast.two_level_block:TwoLevelCodec._scales", "(amax / np.float32(target)) / g",
        "(amax * (np.float32(1) / np.float32(target))) / g",
        test_two_level_block.test_nvfp4_is_the_published_sequence_where_the_order_of_steps_shows,
    ),
    Mutant(
        "reciprocal for division, compiled", "fast.two_level_kernels:quantize",
        "np.divide(np.divide(after[b], target), tensor)", "after[b] * np.divide(np.float32(1), target) / tensor",
        test_two_level_block.test_nvfp4_is_the_published_sequence_where_the_order_of_steps_shows, compiled=True,
    ),
    Mutant(
        "factors of elements in another order", "fast.two_level_block:TwoLevelCodec._factors",
        "(np.float32(1) / g) / scales", "np.float32(1) / (g * scales)",
        test_two_level_block.test_nvfp4_is_the_published_sequence_where_the_order_of_steps_shows,
    ),
    Mutant(
        "the higher nibble first", "packing:pack_rows",
        "(words & low) | (((words >> np.uint64(8 << step)) & low) << np.uint64(bits << step))",
        "((words & low) << np.uint64(bits << step)) | ((words >> np.uint64(8 << step)) & low)",
        test_format.test_bytes_of_memory,
    ),
    Mutant(
        "tails that are not packed as zeros", "fast.tiles:pad", "np.pad(x, ((0, 0), (0, more)))",
        'np.pad(x, ((0, 0), (0, more)), mode="edge")',
        test_block.test_a_short_block_takes_the_bytes_of_a_whole_one_and_its_codes_are_zero,
    ),
)  # fmt: skip

SUMS_OF_PRODUCTS = (
    Mutant(
        "the incoming sum takes no part in the alignment", "arithmetic.fused:_group",
        "top = _exponents(held, how.type.lowest, how.zero_exponent)",
        "top = np.full(held.shape, how.zero_exponent)", SAMPLED, tile("hopper-fp8"),
    ),
    Mutant(
        "aligned to the normalised product", "arithmetic.fused:_Aligned.term",
        "self.exponent_a[:, k, None] + self.exponent_b[None, k]",
        "_exponents(self.a[:, k, None] * self.b[None, k], None, -1000)", SAMPLED, tile("hopper-fp8"),
    ),
    Mutant(
        "terms cut toward minus infinity", "arithmetic.fused:_group", "np.trunc(x * scale)", "np.floor(x * scale)",
        SAMPLED, tile("hopper-fp8"),
    ),
    Mutant(
        "aligned terms rounded to nearest, compiled", "fast.arithmetic_kernels:fused",
        "upper = np.trunc(x0 * y0[j] * unit)",
        "upper = np.rint(x0 * y0[j] * unit)",
        TILES, tile("hopper-fp8"), compiled=True,
    ),
    Mutant(
        "an order of its own", "arithmetic.ordered:_trees", "add(stack.pop()[1], node, how.type, how.rounding), height",
        "add(stack.pop()[1], node, how.type, how.rounding), 0", SUMS,
        {"how": test_arithmetic.ACCUMULATORS["fp16-tree16"], **NUMPY},
    ),
    Mutant(
        "tensor scales multiply in float64", "arithmetic.product:_ended", "_fp32(_fp32(made) * scale)",
        "_fp32(made * np.asarray((one if end_a is None else end_a) * (one if end_b is None else end_b)))",
        test_arithmetic_blocks.test_nvfp4_multiplies_its_tensor_scales_at_the_end_in_fp32,
    ),
    Mutant(
        "a second rounding of the result", "arithmetic.product:_rounded", "target.quantize(x) + 0.0",
        "target.quantize(x.astype(np.float32).astype(np.float64)) + 0.0",
        test_arithmetic.test_results_are_rounded_once,
    ),
)  # fmt: skip

MUTANTS = (*FLOATS, *GRIDS, *DRAWS, *BLOCKS, *SUMS_OF_PRODUCTS)


@pytest.mark.filterwarnings("ignore:compiled kernels cannot be cached:RuntimeWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault.replace(" ", "-"))
def test_the_suite_finds_the_fault(mutant, monkeypatch):
    if mutant.compiled and not jit.enabled():
        pytest.skip("numba is switched off")
    if not mutant.compiled:
        monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    taken = inspect.signature(mutant.check).parameters
    arguments = {**mutant.arguments, **({"monkeypatch": monkeypatch} if "monkeypatch" in taken else {})}
    assert runs_by_default(mutant.check, arguments)
    forget(False, HELD)
    mutant.check(**arguments)
    try:
        forget(mutant.in_reference, HELD)
        mutant.apply(monkeypatch)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            mutant.check(**arguments)
    finally:
        forget(mutant.in_reference, HELD)


def test_there_are_many_and_no_two_are_one():
    assert len({(mutant.where, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS) >= 15

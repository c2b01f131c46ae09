"""Micro-programs of HBM-PIM: words and text, and kernels run on values against the accumulator `hbm-pim-fp16`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.errors import RequestError
from accelsim.timing.hbm_pim import program, stream, values
from accelsim.timing.hbm_pim.blocks import Blocks
from tests.timing.hbm_pim_cases import PART

FP16 = accelsim.dataformat("fp16")


def halves(rng, *shape, spread=1.0):
    return (rng.standard_normal(shape) * spread).astype(np.float16)


def same(a, b):
    return np.array_equal(a.astype(np.float16), np.asarray(b).astype(np.float16), equal_nan=True)


@pytest.mark.parametrize(
    ("n", "k", "m"), [(8, 16, 1), (1, 1, 1), (64, 128, 1), (64, 1024, 1), (70, 300, 2), (130, 640, 1), (5, 1000, 3)]
)
def test_a_product_equals_the_accumulator_of_that_name(n, k, m):
    rng = np.random.default_rng(n * k)
    weights, inputs = halves(rng, n, k), halves(rng, m, k)
    ours = values.add_up(values.gemv(PART, weights, inputs))[..., 0]
    expected = FP16.matmul(inputs.astype(np.float64), weights.T.astype(np.float64), accumulator="hbm-pim-fp16")
    assert same(ours, expected)


def test_sums_are_rounded_to_fp16_after_every_product():
    """1 + 2^-11 stays 1 in fp16, although the exact sum of many does not."""
    k = 16 * 9
    weights = np.full((1, k), 2.0**-6, dtype=np.float16)
    inputs = np.full((1, k), 2.0**-5, dtype=np.float16)
    weights[0, :16], inputs[0, :16] = 1, 1
    lanes = values.gemv(PART, weights, inputs)
    assert np.all(lanes == 1)


def test_a_product_is_rounded_before_it_is_added():
    """No fused rounding: (1 + 2^-10)^2 - (1 + 2^-9) is 0 once the product is fp16."""
    x = np.float16(1 + 2**-10)
    weights = np.zeros((1, 32), dtype=np.float16)
    inputs = np.zeros((1, 32), dtype=np.float16)
    weights[0, 0], inputs[0, 0] = -np.float16(1 + 2**-9), 1
    weights[0, 16], inputs[0, 16] = x, x
    assert np.all(values.gemv(PART, weights, inputs)[0, 0, 0] == 0)


@pytest.mark.parametrize("k", [100, 256, 640, 1000])
def test_the_tree_kernel_keeps_sums_of_tiles_apart(k):
    rng = np.random.default_rng(k)
    weights, inputs = halves(rng, 70, k), halves(rng, 1, k)
    sums = values.gemv(PART, weights, inputs, tree=True)
    assert sums.shape == (1, 70, -(-k // 128), 16)
    for tile in range(sums.shape[2]):
        part = slice(tile * 128, min(k, tile * 128 + 128))
        assert same(sums[:, :, tile], values.gemv(PART, weights[:, part], inputs[:, part])[:, :, 0])


@given(size=st.integers(1, 5000), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_elementwise_kernels_round_once_per_operation(size, seed):
    rng = np.random.default_rng(seed)
    x, y = halves(rng, size, spread=50), halves(rng, size, spread=100)
    assert same(values.elementwise(PART, "add", x, y), x + y)
    assert same(values.elementwise(PART, "mul", x, y), x * y)
    assert same(values.elementwise(PART, "relu", x), np.where(np.signbit(x), 0, x))
    scalars = halves(rng, 16)
    expected = (x * scalars[0] + scalars[8]) * scalars[1] + scalars[9]
    assert same(values.elementwise(PART, "bn", x, scalars=scalars), expected)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(RequestError, match=r"expected \[n, k\], \[m, k\]"):
        values.gemv(PART, np.zeros((2, 3), np.float16), np.zeros((1, 4), np.float16))
    with pytest.raises(RequestError, match="two vectors of one length"):
        values.elementwise(PART, "add", np.zeros(3, np.float16))


def test_the_program_of_a_product_in_words_and_text():
    """Bits by hand: MAC 3, GRF_B 5, GRF_A 4, EVEN_BANK 2 and ODD_BANK 3, auto; JUMP 14; NOP 0; EXIT 15."""
    words = program.gemv(8)
    assert words == [
        3 << 28 | 5 << 25 | 4 << 22 | 2 << 19 | 1 << 15,
        14 << 28 | 31 << 11 | 2,
        3 << 28 | 5 << 25 | 4 << 22 | 3 << 19 | 1 << 15,
        14 << 28 | 31 << 11 | 2,
        7,
        15 << 28,
    ]
    assert program.disassemble(words).splitlines()[:2] == ["MAC GRF_B[0], GRF_A[0], EVEN_BANK, auto", "JUMP -1, 31"]


@pytest.mark.parametrize(
    "words",
    [program.gemv(1), program.gemv(9), program.gemv_tree(5)]
    + [program.elementwise(kind, tiles) for kind in ("add", "mul", "relu", "bn") for tiles in (1, 7)],
)
def test_text_and_words_go_both_ways(words):
    assert program.assemble(program.disassemble(words)) == words
    assert len(words) <= program.COMMANDS


def test_programs_fill_the_writes_that_the_kernels_make():
    for made, words in (
        (stream.gemv(PART, 64, 1024, 1), program.gemv(8)),
        (stream.gemv(PART, 64, 1024, 1, tree=True), program.gemv_tree(8)),
        (stream.elementwise(PART, "add", 3), program.elementwise("add", 3)),
        (stream.elementwise(PART, "bn", 3), program.elementwise("bn", 3)),
    ):
        assert made.program_writes == -(-len(words) // 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MAC GRF_B[8], GRF_A, EVEN_BANK, auto", r"line 1: .*GRF_B\[8\]: a block has 8 of them, 0 to 7; more outputs"),
        ("NOP 8\nMAK GRF_B, GRF_A", r"line 2: .*unknown command.*did you mean.*MAC"),
        ("ADD GRF_A, GRF_Q, EVEN_BANK", "unknown operand 'GRF_Q'"),
        ("ADD GRF_A, GRF_B", "ADD takes 3 operands"),
        ("JUMP -2, 4", "commands back, within the program, from 0 to 0"),
        ("NOP 0", "from 1 to 2048"),
        ("MOV EVEN_BANK, GRF_A", "no command writes a bank"),
        ("\n".join(["NOP 1"] * 33), "33 commands: the CRF holds 32"),
    ],
)
def test_bad_programs_are_named(text, said):
    with pytest.raises(RequestError, match=said):
        program.assemble(text)


def test_a_word_without_a_command_is_named():
    with pytest.raises(RequestError, match="code 5 is no command"):
        program.decode(5 << 28)


def test_the_register_window_reaches_every_file():
    blocks, modes = Blocks(PART), PART.modes
    ramp = np.arange(16, dtype=np.float16)
    write = [
        stream.Access(1, 0, modes.register_row, c)
        for c in (modes.grf_a_column + 3, modes.grf_b_column + 7, modes.scalar_column)
    ]
    blocks.serve(write, [ramp, ramp + 1, ramp + 2])
    assert same(blocks.grf_a[3, 5], ramp)
    assert same(blocks.grf_b[7, 0], ramp + 1)
    assert same(blocks.scalars, ramp + 2)

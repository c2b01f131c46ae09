"""Parts of the axis that a kernel adds along."""

from accelsim import catalog
from accelsim.mapping.sums import WHOLE, Sums, chips, joined, partial_format


def test_parts_of_an_axis() -> None:
    assert Sums(3, 4).bounds(10) == ((0, 4), (4, 8), (8, 10))
    assert Sums(2, 4).bounds(10) == ((0, 4), (4, 10))  # the last part takes what is left
    assert Sums(4, 4).bounds(7) == ((0, 4), (4, 7))  # parts that the axis does not reach
    assert Sums(4, 4).bounds(10, 8) == ((8, 10),)
    assert WHOLE.bounds(9) == ((0, 9),)


def test_chips_have_equal_parts_of_the_axis() -> None:
    fp16 = catalog.format_("fp16")
    tiles = Sums(3, 16, assumed="from the first to the last")
    assert chips(100, 1, tiles, fp16) is tiles
    made = chips(100, 4, tiles, fp16, ring=True)
    assert (made.parts, made.extent, made.stored, made.ring) == (4, 25, fp16, True)
    assert made.stages == (made, Sums(3, 16))
    assert made.order == (
        "4 parts of 25, passed round a ring, rounded to fp16 after every addition, each of them 3 parts of 16, added "
        "in fp32 (assumed: which chip begins; from the first to the last)"
    )
    assert chips(100, 4, WHOLE, None, ring=True).stages == (chips(100, 4, WHOLE, None),)
    assert chips(100, 4, Sums(group=32), fp16).order.startswith("32 products at once; 4 parts of 25, rounded to fp16")
    assert WHOLE.order == ""


def test_attention_has_the_parts_of_both_products() -> None:
    assert joined([WHOLE, WHOLE]) == WHOLE
    assert joined([Sums(2, 16)]) == Sums(2, 16)
    assert joined([WHOLE, Sums(2, 16)]).products == (WHOLE, Sums(2, 16))


def test_sums_with_scales_are_not_stored_before_they_are_complete() -> None:
    assert partial_format(catalog.format_("bf16")) is catalog.format_("bf16")
    for name in ("fp32", "int8", "mxfp8_e4m3"):
        assert partial_format(catalog.format_(name)) is None

"""Parts of the axis that a kernel adds along."""

from accelsim.mapping.sums import WHOLE, Sums


def test_parts_of_an_axis() -> None:
    assert Sums(3, 4).bounds(10) == ((0, 4), (4, 8), (8, 10))
    assert Sums(2, 4).bounds(10) == ((0, 4), (4, 10))  # the last part takes what is left
    assert Sums(4, 4).bounds(7) == ((0, 4), (4, 7))  # parts that the axis does not reach
    assert Sums(4, 4).bounds(10, 8) == ((8, 10),)
    assert WHOLE.bounds(9) == ((0, 9),)

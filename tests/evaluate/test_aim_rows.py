from pathlib import Path

import pytest

from accelsim.errors import RequestError, UnknownNameError
from accelsim.evaluate.aim_rows import compare, read

HERE = Path(__file__).parent.parent
OWN = HERE / "validation" / "aim_public_cycles.csv"
SHARED = HERE.parent.parent / "shared" / "reference" / "pim" / "cycles.csv"


@pytest.mark.parametrize("file", [OWN, SHARED], ids=["own", "shared"])
def test_every_row_is_equal_to_the_cycle(file):
    if not file.exists():
        pytest.skip("the shared folder is not here")
    found = compare(read(file))
    assert len(found) >= 16
    assert [row.difference for row in found] == [0.0] * len(found)
    assert [row.ours for row in found] == [row.reference for row in found]


def test_rows_of_others_are_left_out_and_unknown_ones_named():
    row = {"simulator": "aim_simulator", "shape": "gemv_8192x2048_32ch", "cycles": "1"}
    (found,) = compare([row, {**row, "simulator": "PIMSimulator"}])
    assert found.difference == found.ours - 1 > 9000
    with pytest.raises(UnknownNameError, match="gemm_4x4"):
        compare([{**row, "shape": "gemm_4x4"}])
    with pytest.raises(RequestError, match="cannot be read"):
        read(HERE / "absent.csv")

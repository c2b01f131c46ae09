"""`accelsim sensitivity`: three methods on one space."""

from __future__ import annotations

import pytest

METRIC = ["--metric", "time_per_output_token_s", "--workers", "1"]


@pytest.mark.parametrize("method", ["variance", "sobol", "permutation"])
def test_decoding_hangs_on_bandwidth_and_batch_by_every_method(command, document, space, method, tmp_path):
    if method == "permutation":
        assert command("sweep", space, "--workers", "1")[0] == 0
    more = ["--count", "64"] if method == "sobol" else []
    code, out, _ = command("sensitivity", space, *METRIC, "--method", method, *more, "--plot", "bars.png")
    assert code == 0, out
    assert (tmp_path / "bars.png").stat().st_size > 5_000
    found = document("sensitivity", space, *METRIC, "--method", method, *more)
    column = "importance" if method == "permutation" else "first_order"
    shares = {row["axis"]: row[column] for row in found["axes"]}
    assert max(shares, key=shares.__getitem__) == "memory.bandwidth"
    assert min(shares, key=shares.__getitem__) == "sm.count"
    if method == "permutation":
        assert found["r2"] > 0.9
        assert f"R^2 is {found['r2']:.3f}" in out
    if method == "variance":
        assert "all 80 points of the grid" in out
        assert found["axes"][0]["first_order"] <= found["axes"][0]["total"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--method", "sobel"], "did you mean 'sobol'"),
        (["--method", "permutation"], "run the sweep first"),
        (["--method", "sobol", "--count", "100"], "power of two"),
        (["--metric", "power_w"], "nearest: "),
        (["--plot", "bars.gif"], "names that end in .png"),
    ],
)
def test_bad_input(command, space, more, says):
    code, out, err = command("sensitivity", space, *more)
    assert (code, out) == (2, "")
    assert says in err

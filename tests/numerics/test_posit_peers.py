"""Posits against what softposit gave in `data/make_softposit.py`: every width with es = 2, and two older layouts."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.formats import dataformat
from tests.numerics import peer_data, peer_inputs

CASES = [f"posit{n}" for n in range(2, 33)] + ["posit8_es0", "posit16_es1"]


@pytest.mark.parametrize("name", CASES)
def test_codes_are_those_of_softposit(name):
    """Values, boundaries (those of the posit with one more bit) and the float64s beside them, of both signs."""
    record = dataformat(name).record
    x = peer_data.checked(peer_inputs.of_posit(record.bits, record.es), "softposit", name)
    mine, theirs = dataformat(name).encode(x), peer_data.of("softposit")[name]
    wrong = np.flatnonzero(mine != theirs)
    assert wrong.size == 0, [(x[i].hex(), int(mine[i]), int(theirs[i])) for i in wrong[:6]]


@pytest.mark.parametrize("name", CASES)
def test_codes_mean_what_they_mean_to_softposit(name):
    made = dataformat(name)
    codes = np.unique(np.linspace(0, (1 << made.bits) - 1, min(1 << made.bits, 600)).astype(np.int64))
    theirs = peer_data.of("softposit")[f"{name}/values"]
    mine = made.decode(codes, np.float64)
    nar = codes == 1 << made.bits - 1
    assert np.isnan(mine[nar]).all()
    assert not np.isfinite(theirs[nar]).any()  # infinite or NaN there, as it comes
    np.testing.assert_array_equal(mine[~nar], theirs[~nar])

"""The experiment as a file: what it found, at sizes that take seconds."""

from __future__ import annotations

import pytest

from accelsim.explore.sweep import Sweep


def described(**axes):
    whole = Sweep.read("pim_crossover")
    spec = whole.spec
    changed = {key: axis.model_dump(exclude_defaults=True) for key, axis in spec.axes.items()} | axes
    return Sweep(changed, name="pim", fixed=spec.fixed, plot=spec.plot.model_dump(exclude_defaults=True))


def speedup(frame):
    table = frame.pivot_table(
        index="batch", columns=["prompt", "system"], values="time_per_output_token_s", observed=True
    )
    return {
        (b, p): table.loc[b, (p, "plain HBM2")] / table.loc[b, (p, "HBM-PIM")] for b in table.index for p in (256, 2048)
    }


@pytest.mark.long
def test_units_win_at_batch_1_lose_the_weights_at_4_and_keep_the_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = Sweep.read("pim_crossover")
    assert sweep.run().counts == {"ok": 28}
    sweep.plot("picture.png")
    gain = speedup(sweep.load())
    assert gain[(1, 256)] > 2.1
    assert gain[(4, 256)] < 1.02
    assert gain[(64, 2048)] > 1.6
    assert gain[(64, 2048)] > gain[(64, 256)] > gain[(8, 256)]


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = described(batch=[1], prompt=[256])
    first.run(workers=1)
    more = described(batch=[1, 4], prompt=[256])
    assert more.run(workers=1).counts == {"ok": 2}
    found = more.load().set_index(["batch", "system"])["time_per_output_token_s"]
    assert found[(1, "plain HBM2")] / found[(1, "HBM-PIM")] > 2.1
    assert found[(4, "plain HBM2")] / found[(4, "HBM-PIM")] < 1.02

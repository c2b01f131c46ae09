"""The files that pictures become: their size, their completeness, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import matplotlib as mpl
import matplotlib.image
import pytest
from matplotlib.figure import Figure

from accelsim.errors import AccelsimError, RequestError
from accelsim.report import style

DRAWABLE = {
    "roofline": ["event", "two pairs", "experts", "unfused", "encoder", "operator", "roofline", "llm-viewer"],
    "breakdown": ["event", "two pairs", "experts", "unfused", "encoder", "operator", "roofline", "llm-viewer"],
    "timeline": ["event", "unfolded", "experts", "encoder", "operator"],
}
PAIRS = [(what, name) for what, names in DRAWABLE.items() for name in names]


@pytest.mark.parametrize(("what", "name"), PAIRS)
def test_a_png_has_the_promised_size_and_holds_all_of_the_picture(runs, what, name, tmp_path):
    path = tmp_path / f"{what}.png"
    returned = getattr(runs(name).plot, what)(path)
    assert isinstance(returned, Figure)
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[:2] == (750, 1200)
    assert pixels[..., :3].std() > 0.02
    assert list(tmp_path.iterdir()) == [path]
    for artist in (*returned.axes, *returned.legends, returned._suptitle):
        box = artist.get_tightbbox()
        assert min(box.x0, box.y0) >= 0, artist
        assert box.x1 <= 1200, artist
        assert box.y1 <= 750, artist


@pytest.mark.parametrize("what", list(DRAWABLE))
def test_the_title_says_what_ran_on_what_and_in_which_formats(runs, what):
    title = getattr(runs("event").plot, what)().get_suptitle()
    for words in (what.capitalize(), "llama-2-7b on h100-sxm", "batch 1, prompt 512, generate 4", "weights bf16"):
        assert words in title
    assert "event simulation" in title


@pytest.mark.parametrize("what", list(DRAWABLE))
@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_pictures_are_drawn_as_vectors_too(runs, what, suffix, tmp_path):
    path = tmp_path / f"picture{suffix}"
    getattr(runs("event").plot, what)(path)
    assert path.read_bytes().lstrip().startswith(b"%PDF" if suffix == ".pdf" else b"<?xml")


@pytest.mark.parametrize("what", list(DRAWABLE))
def test_an_interrupted_picture_leaves_the_old_file(runs, what, tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def interrupted(self, target, **options):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    with pytest.raises(KeyboardInterrupt):
        getattr(runs("event").plot, what)(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_another_suffix_is_refused(runs, tmp_path):
    with pytest.raises(RequestError, match=r"allowed are names that end in \.png, \.svg, \.pdf.*did you mean '\.png'"):
        runs("event").plot.roofline(tmp_path / "picture.pngg")
    with pytest.raises(RequestError, match="there is no folder"):
        runs("event").plot.roofline(tmp_path / "missing" / "picture.png")


def test_an_infeasible_run_is_not_drawn(runs):
    for what in DRAWABLE:
        with pytest.raises(AccelsimError, match="nothing to draw: the run is infeasible"):
            getattr(runs("infeasible").plot, what)()


@pytest.mark.parametrize("name", ["roofline", "llm-viewer"])
def test_a_run_without_events_has_no_timeline(runs, name):
    with pytest.raises(AccelsimError, match="fidelity 'roofline' has no events; try fidelity='event'"):
        runs(name).plot.timeline()


def test_settings_of_the_session_come_back_and_do_not_interfere(runs, tmp_path):
    with mpl.rc_context({"savefig.bbox": "tight", "font.size": 40.0, "figure.dpi": 30}):
        runs("event").plot.breakdown(tmp_path / "picture.png")
        assert mpl.rcParams["font.size"] == 40.0
    assert matplotlib.image.imread(tmp_path / "picture.png").shape[:2] == (750, 1200)


def test_no_window_system_and_no_pyplot_is_touched(tmp_path):
    code = (
        "import sys, accelsim\n"
        "run = accelsim.simulate('gpt2', 'a40', prompt=16, generate=2)\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"run.plot.roofline({str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "MPLBACKEND": "tkagg", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert (tmp_path / "a.png").is_file()


def test_names_are_shortened_only_while_they_stay_distinct():
    assert style.short(["layers.mlp", "lm_head"]) == {"layers.mlp": "mlp", "lm_head": "lm_head"}
    assert style.short(["layers.mlp", "mlp"]) == {"layers.mlp": "layers.mlp", "mlp": "mlp"}


@pytest.mark.parametrize(
    ("seconds", "unit"), [(2.0, "s"), (0.999, "ms"), (1e-3, "ms"), (5e-5, "µs"), (2e-7, "ns"), (0.0, "ns")]
)
def test_times_take_the_unit_in_which_they_read_well(seconds, unit):
    assert style.time_scale(seconds)[1] == unit


def test_colours_of_bounds_and_families_are_distinct():
    assert len(set(style.BOUNDS.values()) | {style.OTHER}) == len(style.BOUNDS) + 1
    families = set(style.FAMILIES.values())
    assert len({colour for _, colour in families}) == len({name for name, _ in families}) == len(families)

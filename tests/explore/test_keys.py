"""A key says what a point is: the same however it is written, another as soon as anything that counts differs."""

from __future__ import annotations

import shutil
import tomllib

import pytest

from accelsim import catalog
from accelsim.explore import version
from accelsim.explore.groups import key_of


def keys(make, axes, **more):
    return make(axes, **more).keys


@pytest.fixture
def text():
    return catalog.path("arch", "h100-sxm").read_text(encoding="utf-8")


def test_the_same_design_by_name_inline_and_by_override_is_one_row(make, text):
    by_name = keys(make, {"chip": ["h100-sxm"]})
    raw = tomllib.loads(text)
    raw["memory"]["bandwidth"] = "3350 GB/s"  # 3.35 TB/s
    assert keys(make, {"chip": [raw]}) == by_name
    assert keys(make, {"memory.bandwidth": ["3.35 TB/s"]}) == by_name
    assert keys(make, {"memory.bandwidth": ["3350 GB/s"]}) == by_name
    assert keys(make, {"chip": ["h100-sxm"]}, fixed={"memory.bandwidth": "3350 GB/s"}) == by_name
    assert keys(make, {"chip": [{"base": "h100-sxm", "memory.bandwidth": "3350 GB/s"}]}) == by_name
    assert keys(make, {"chip": [catalog.chip("h100-sxm")]}) == by_name
    both = make({"chip": ["h100-sxm", raw | {"name": "same"}]})
    assert both.run().points == 1
    assert len(both.load()) == 1


def test_defaults_are_part_of_a_point_whether_named_or_not(make):
    plain = keys(make, {"batch": [1]})
    assert keys(make, {"batch": [1]}, fixed={"weights": "bf16", "seed": 0, "fuse": True}) == plain
    assert keys(make, {"batch": [1], "weights": ["bf16"]}) == plain


def test_conditions_of_kernels_that_a_run_takes_by_itself_are_no_other_point(make):
    events = {"fidelity": "event"}
    plain = keys(make, {"batch": [1]}, fixed=events)
    assert keys(make, {"batch": [1]}, fixed=events | {"clock": "sustained", "library": "trtllm-1.3"}) == plain
    assert keys(make, {"batch": [1]}, fixed=events | {"residency": "cold", "launch": "graph"}) == plain
    assert keys(make, {"batch": [1]}, fixed=events | {"clock": "burst"}) != plain


def test_order_prose_and_names_do_not_count(make, text, tmp_path):
    first = keys(make, {"batch": [1, 2], "prompt": [16, 32]})
    other = keys(make, {"prompt": [16, 32], "batch": [1, 2]}, name="other", question={"text": "why?"})
    assert sorted(first) == sorted(other)
    own = tmp_path / "h100-other.toml"
    own.write_text("# another comment\n" + text.replace('name = "h100-sxm"', 'name = "h100-other"'), encoding="utf-8")
    assert keys(make, {"chip": [str(own)]}) == keys(make, {"chip": ["h100-sxm"]})


@pytest.mark.parametrize(
    "fixed",
    [
        {"batch": 2}, {"prompt": 65}, {"generate": 3}, {"seed": 1}, {"fidelity": "event"}, {"fuse": False},
        {"weights": "fp8_e4m3"}, {"kv_cache": "fp8_e4m3"}, {"activations": "fp16"}, {"model": "gpt2-xl"},
        {"chip": "h100-pcie"}, {"logits": "all"}, {"memory.bandwidth": "3.36 TB/s"}, {"energy.memory": "4 pJ/bit"},
        {"power.idle": "71 W"}, {"routing": "zipf:1.0"}, {"streams": "graph"}, {"peak.0.rate": "4097 FLOP/clk"},
        {"model.n_layer": 11}, {"scales": "static"}, {"clock": "sustained"}, {"residency": "steady"},
        {"launch": "stream"}, {"library": "trtllm-1.0"}, {"chips": 2},
    ],
)  # fmt: skip
def test_anything_that_can_change_the_result_changes_the_key(make, fixed):
    assert keys(make, {"convention": ["corrected"]}, fixed=fixed) != keys(make, {"convention": ["corrected"]})


def test_an_edited_constant_of_what_a_chip_names_changes_the_key(make, tmp_path, monkeypatch):
    """The DRAM sheet behind an H100's memory, the part of a system, a format of its rates."""
    from accelsim.explore import content

    root = tmp_path / "catalogue"
    for folder in ("arch", "workloads", "dataformats", "sweeps"):
        shutil.copytree(catalog.root() / folder, root / folder)
    monkeypatch.setattr(catalog, "root", lambda: root)
    content._shared.cache_clear()

    def edited(file, old, new):
        path = root / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    gpu, system = keys(make, {"chip": ["h100-sxm"]}), keys(make, {"chip": ["hbm-pim-64pch"]})
    edited("arch/dram/hbm3.toml", "#", "# A comment.\n#")
    assert keys(make, {"chip": ["h100-sxm"]}) == gpu
    sheet = tomllib.loads((root / "arch/dram/hbm3.toml").read_text())
    columns = sheet["organization"][0]["columns"]
    edited("arch/dram/hbm3.toml", f"columns = {columns}", f"columns = {columns * 2}")
    assert keys(make, {"chip": ["h100-sxm"]}) != gpu
    gpu = keys(make, {"chip": ["h100-sxm"]})
    edited("arch/calibrations/h100-sxm-trtllm-1.3.toml", "[gemm]", "[gemm]  # a comment")
    assert keys(make, {"chip": ["h100-sxm"]}) == gpu
    kernels = tomllib.loads((root / "arch/calibrations/h100-sxm-trtllm-1.3.toml").read_text())["gemm"]
    name = next(key for key, value in kernels.items() if isinstance(value, float))
    edited("arch/calibrations/h100-sxm-trtllm-1.3.toml", f"{name} = ", f"{name} = 0.9 # ")
    assert keys(make, {"chip": ["h100-sxm"]}) != gpu
    gpu = keys(make, {"chip": ["h100-sxm"]})
    edited("arch/gpu/h100-sxm.toml", 'energy = "0.36 pJ/FLOP"', 'energy = "0.37 pJ/FLOP"')
    assert keys(make, {"chip": ["h100-sxm"]}) != gpu
    edited("arch/systems/hbm-pim-64pch.toml", "count = 64", "count = 32")
    assert keys(make, {"chip": ["hbm-pim-64pch"]}) != system


def test_an_edited_line_of_code_changes_the_version_and_with_it_every_key(tmp_path, make):
    package = tmp_path / "accelsim"
    shutil.copytree(version.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "_catalog"))
    before = version.digest_of(package)
    assert before == version.model_version()
    for above in ("cli/run.py", "report/style.py", "explore/store.py"):
        (package / above).write_text((package / above).read_text(encoding="utf-8") + "\nX = 1\n", encoding="utf-8")
    assert version.digest_of(package) == before, "what stands above the simulation changes no result"
    file = package / "evaluate" / "summary.py"
    file.write_text(file.read_text(encoding="utf-8").replace("joules / total_s", "joules / total_s * 1.0"))
    after = version.digest_of(package)
    assert after != before
    design = make({"batch": [1]}).designs[0]
    assert key_of(design, before) != key_of(design, after)


def test_figures_as_columns_and_figures_one_by_one_give_the_same_keys(make):
    """The fast way, templates with numbers put in, against the records themselves."""
    values = {
        "memory.bandwidth": [1e12, 3.3e12],
        "sm.count": [100, 131],
        "energy.memory": [3e-11],
        "power.idle": [60.0],
    }
    together = make(values)
    assert len(together.groups) == 1
    single = []
    for bandwidth in values["memory.bandwidth"]:
        for count in values["sm.count"]:
            fixed = {"memory.bandwidth": bandwidth, "sm.count": count, "energy.memory": 3e-11, "power.idle": 60.0}
            single += keys(make, {"batch": [1]}, fixed=fixed)
    assert together.keys == single


def test_digests_are_kept_so_that_a_point_hashes_what_its_axis_touched(make, monkeypatch):
    from accelsim.explore import groups

    sheets, hashed = [], []
    tables_of, sha256 = groups.tables_of, groups.hashlib.sha256
    monkeypatch.setattr(groups, "tables_of", lambda *sheet: sheets.append(sheet) or tables_of(*sheet))
    events = make({"batch": [1, 2], "seed": list(range(20)), "chip": ["h100-sxm", "hbm-pim-64pch"]},
                  fixed={"fidelity": "event"})  # fmt: skip
    assert len(events.groups) == 40
    assert len(sheets) == 2, "a chip is written out once, however many groups it has"
    bandwidths = {"memory.bandwidth": [1e12, 2e12, 3e12]}
    sweep = make(bandwidths | {"batch": {"range": [1, 400], "step": 1}})
    assert len(sweep.groups) == 1

    class Counting:
        def sha256(self, text):
            hashed.append(len(text))
            return sha256(text)

    monkeypatch.setattr(groups, "hashlib", Counting())
    assert len(set(sweep.designs)) == 1200
    assert len(hashed) == 1200 + 3, "a hash per point, and one of the memory's table per bandwidth"

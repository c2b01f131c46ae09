"""When kernels are compiled, where they are kept, and what is said about it."""

from __future__ import annotations

import ast
import builtins
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.numerics import jit
from accelsim.numerics.fast import float_kernels

ROOT = Path(__file__).parents[2]
FOLDERS = ("numerics", "timing/dram")
KERNELS = sorted(file for folder in FOLDERS for file in (ROOT / "accelsim" / folder).rglob("*_kernels.py"))
QUANTIZE = """
import warnings
warnings.simplefilter("always")
import numpy as np
import accelsim
x = np.linspace(-5, 5, 7, dtype=np.float32)
print(accelsim.dataformat("fp8_e4m3").quantize(x).tolist(), accelsim.dataformat("int8").quantize(x).tolist())
"""
VALUES = "[-5.0, -3.25, -1.625, 0.0, 1.625, 3.25, 5.0] [-5.0, -3.0, -2.0, 0.0, 2.0, 3.0, 5.0]"


def run(script: str, cache: Path | str, root: Path = ROOT, **more: object) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("ACCELSIM_NUMBA", "HOME", "XDG_CACHE_HOME")}
    environment = {**kept, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(cache)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, text=True, check=False, timeout=300, cwd=root, **options
    )
    assert done.returncode == 0, done.stderr
    return done


def test_numba_is_not_imported_before_the_first_kernel(tmp_path):
    run(
        """
import sys
import accelsim
made = accelsim.dataformat("mxfp4")
made.storage_bytes((3, 64)), made.bits_per_element, made.values
assert "numba" not in sys.modules
""",
        tmp_path,
    )


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: file.stem)
def test_kernels_and_what_they_call_are_files_of_kernels_of_a_folder(file):
    """The cache knows a kernel's own file and the files of kernels beside it: an edit elsewhere would go unnoticed."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    folder = ".".join(file.relative_to(ROOT).parent.parts)
    beside = {f"{folder}.{other.stem}" for other in file.parent.glob("*_kernels.py")}
    assert imported | {node.module for node in taken} <= {"__future__", "numpy", "math"} | beside
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    own |= {a.name for node in taken if node.module in beside for a in node.names}
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert called <= own | set(dir(builtins))


def test_whatever_is_compiled_lies_in_a_file_of_kernels():
    """No function of another file is handed to the compiler."""
    for file in sorted((ROOT / "accelsim").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("compiled")]
        functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        for call in calls:
            given = ast.unparse(call.args[0]) if call.args and ast.unparse(call.func) != "self._compiled" else "kernel"
            named = given.partition(".")[0].endswith("kernels") or given not in functions
            assert named, f"{file.name}: {given}"


def test_an_edited_helper_is_seen(tmp_path):
    module = tmp_path / "edited_kernels.py"
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from accelsim.numerics import jit
import edited_kernels
x = np.zeros(1)
jit.compiled(edited_kernels.kernel)(x)
dispatcher = jit.compiled(edited_kernels.kernel)
print(x[0], sum(dispatcher.stats.cache_hits.values()))
"""
    text = """
from numba.extending import register_jitable

@register_jitable
def helper(x):
    return x + {number}

def kernel(x):
    for i in range(x.size):
        x[i] = helper(x[i])
"""
    for number, hits in ((1, 0), (1, 1), (2, 0)):
        module.write_text(text.format(number=number), encoding="utf-8")
        assert run(script, tmp_path / "cache").stdout.split() == [str(float(number)), str(hits)]


def test_an_edited_helper_of_a_file_beside_is_seen(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "upper_kernels.py").write_text(
        "from made.lower_kernels import helper\n\ndef kernel(x):\n    x[0] = helper(x[0])\n", encoding="utf-8"
    )
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from accelsim.numerics import jit
from made import upper_kernels
x = np.zeros(1)
jit.compiled(upper_kernels.kernel)(x)
print(x[0], sum(jit.compiled(upper_kernels.kernel).stats.cache_hits.values()))
"""
    for number, hits in ((1, 0), (1, 1), (2, 0)):
        (folder / "lower_kernels.py").write_text(f"def helper(x):\n    return x + {number}\n", encoding="utf-8")
        assert run(script, tmp_path / "cache").stdout.split() == [str(float(number)), str(hits)]


@pytest.fixture
def closed(tmp_path):
    """A copy of the package beside which nothing can be written: files lie where folders of caches would."""
    for part in ("accelsim", "dataformats"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("arch", "workloads", "sweeps"):
        (tmp_path / part).mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in (tmp_path / "accelsim").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").touch()
    return tmp_path


def test_an_edited_constant_of_a_file_beside_it_is_seen(tmp_path):
    using = "from shared_kernels import ADDED\n\n\ndef more(x):\n    return x + ADDED\n"
    (tmp_path / "using_kernels.py").write_text(using, encoding="utf-8")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from accelsim.numerics import jit
import using_kernels
print(jit.compiled(using_kernels.more)(1))
"""
    for number in (1, 2):
        (tmp_path / "shared_kernels.py").write_text(f"ADDED = {number}\n", encoding="utf-8")
        assert run(script, tmp_path / "cache").stdout == f"{1 + number}\n"


def test_an_installation_without_a_place_to_write_runs_with_one_warning(closed):
    script = f"import os; os.environ['XDG_CACHE_HOME'] = {os.devnull!r} + '/below'" + QUANTIZE
    done = run(script, f"{os.devnull}/below", closed)
    assert done.stdout.strip() == VALUES
    assert done.stderr.count("cannot be cached here (no folder may be written to)") == 1
    assert done.stderr.count("Warning") == 1


def test_a_damaged_cache_is_no_error(tmp_path):
    assert run(QUANTIZE, tmp_path).stdout.strip() == VALUES
    kept = list(tmp_path.rglob("*.nbi"))
    assert kept
    for file in kept:
        file.write_bytes(b"no index")
    done = run(QUANTIZE, tmp_path)
    assert done.stdout.strip() == VALUES
    assert done.stderr.count("Warning: compiled kernels cannot be cached here") == 1


def test_a_cache_that_cannot_be_kept_is_no_error(tmp_path):
    """The folder goes away between the first look and the first kernel."""
    script = f"""
import shutil
from accelsim.numerics import jit
before = jit._Forgiving.save_overload
def save(self, signature, made):
    shutil.rmtree({str(tmp_path / "cache")!r}, ignore_errors=True)
    open({str(tmp_path / "cache")!r}, "w").close()
    before(self, signature, made)
jit._Forgiving.save_overload = save
"""
    done = run(script + QUANTIZE, tmp_path / "cache")
    assert done.stdout.strip() == VALUES
    assert done.stderr.count("Warning: compiled kernels cannot be cached here") == 1


def test_a_terminal_shows_one_line_where_kernels_are_compiled_and_none_where_they_are_kept(tmp_path):
    pty = pytest.importorskip("pty")
    for lines in (1, 0):
        here, there = pty.openpty()
        assert run(QUANTIZE, tmp_path, stderr=there).stdout.strip() == VALUES
        os.write(there, b".")  # so that there is something to read
        shown = os.read(here, 10_000).decode()
        os.close(here), os.close(there)
        assert shown.count("accelsim: compiling kernels") == lines == shown.count("\n")


def test_nothing_is_written_where_stderr_is_no_terminal_or_logging_is_set_up(tmp_path):
    assert run(QUANTIZE, tmp_path / "one").stderr == ""
    script = "import logging; logging.basicConfig(level=logging.INFO)" + QUANTIZE
    assert run(script, tmp_path / "two").stderr.count("INFO:accelsim.numerics.jit:compiling kernels") == 1


def test_a_kernel_is_loaded_once() -> None:
    assert jit.compiled(float_kernels.quantize32) is jit.compiled(float_kernels.quantize32)


def test_calls_are_counted_until_numba_is_worth_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELSIM_NUMBA", "1")
    rules = object()
    answers = [jit.worthwhile(rules) for _ in range(102)]
    assert answers == [False] * 100 + [True] * 2
    assert jit.worthwhile(object(), True)

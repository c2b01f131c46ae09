"""Writes every printed output in the docs anew: the README's demo, the `.out` files beside the examples, the pages.

In the README and the pages, what stands between `<!-- output: accelsim ... -->` and `<!-- /output -->` is what that
command prints, and what stands between `<!-- example: NAME.out -->` and `<!-- /example -->` is that file.
`formats_page.py` makes the table of number formats, `surfaces.py` the sampled bandwidths of the chips' memories. Behind
`<!-- picture: accelsim ... -->` stands the picture that the command makes with `--plot`, and between
`<!-- experiment: NAME -->` and `<!-- /experiment -->` what `sweeps/survey/NAME.py` finds and draws; between
`<!-- question: NAME -->` and `<!-- /question -->` what `sweeps/NAME.py` prints and draws. `cells.py` runs the
pages that are made of cells.
Run it after a change that is meant to move numbers (`make outputs`), and read the difference before committing it.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = re.compile(r"(<!-- demo:.*?-->\n```text\n).*?(```\n<!-- /demo -->)", re.S)
OUTPUT = re.compile(r"(<!-- output: accelsim (.*?) -->\n```text\n).*?(```\n<!-- /output -->)", re.S)
PICTURE = re.compile(r"<!-- picture: accelsim (.*?) -->\n!\[[^\]]*\]\((\S+)\)")
EXPERIMENT = re.compile(r"(<!-- experiment: (\S+) -->\n).*?(\n<!-- /experiment -->)", re.S)
QUESTION = re.compile(r"(<!-- question: (\S+) -->\n).*?(\n<!-- /question -->)", re.S)
EMBEDDED = re.compile(r"(<!-- example: (\S+?)(, as text)? -->\n).*?(<!-- /example -->)", re.S)


def _output(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, check=True, capture_output=True, text=True, encoding="utf-8"
        )
    return done.stdout


def embedded(page: str) -> str:
    """A page with the outputs that it embeds between `<!-- example: NAME.out -->` and `<!-- /example -->`.

    What is no Markdown is fenced: `<!-- example: NAME.out, as text -->`.
    """

    def fresh(found: re.Match[str]) -> str:
        text = (ROOT / "docs" / "examples" / found[2]).read_text("utf-8")
        if found[3]:
            text = "```text\n" + "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n```\n"
        return f"{found[1]}\n{text}\n{found[4]}"

    return EMBEDDED.sub(fresh, page)


def pictures(page: Path) -> None:
    """Makes the pictures of a page."""
    for command, name in PICTURE.findall(page.read_text("utf-8")):
        _output("-m", "accelsim", *command.split(), "--plot", str(page.parent / name))


def experiments(page: Path) -> None:
    """Runs the experiments that a page shows, keeps their pictures and writes what they found into it."""
    sys.path.insert(0, str(ROOT / "sweeps" / "survey"))
    experiment = importlib.import_module("experiment")

    def fresh(found: re.Match[str]) -> str:
        name = f"survey-{found[2]}"
        with tempfile.TemporaryDirectory() as folder:
            module = importlib.import_module(found[2])
            rows = experiment.write(module, name, Path(folder))
            shutil.copy(Path(folder) / f"{name}.png", page.parent / "pictures")
        return found[1] + str(experiment.block(name, experiment.title(module), rows)) + found[3]

    text = page.read_text("utf-8")
    made = EXPERIMENT.sub(fresh, text)
    if made != text:
        page.write_text(made, encoding="utf-8")


def questions(page: Path) -> None:
    """Runs the scripts of `sweeps` that a page shows, keeps their pictures and writes what they print into it."""

    def fresh(found: re.Match[str]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            printed = _output(str(ROOT / "sweeps" / f"{found[2]}.py"), "--out", folder)
            (picture,) = Path(folder).glob("*.png")
            shutil.copy(picture, page.parent / "pictures" / f"question-{found[2]}.png")
        said = "\n".join(line.rstrip() for line in printed.splitlines() if not line.startswith("wrote "))
        return f"{found[1]}```text\n{said}\n```{found[3]}"

    text = page.read_text("utf-8")
    made = QUESTION.sub(fresh, text)
    if made != text:
        page.write_text(made, encoding="utf-8")


def run_cells(page: Path) -> None:
    """Runs a page of cells, and keeps what they print and the pictures that they save."""
    sys.path.insert(0, str(ROOT / "docs"))
    cells = importlib.import_module("cells")
    text = page.read_text("utf-8")
    if not cells.marked(text):
        return
    made, found = cells.run(text, page.name)
    for name, picture in found.items():
        (page.parent / "pictures" / name).write_bytes(picture)
    page.write_text(made, encoding="utf-8")


def main() -> None:
    """Runs the examples, the demo and the commands in the pages, each in an empty folder; keeps what they print."""
    _output(str(ROOT / "docs" / "surfaces.py"))
    for example in sorted((ROOT / "docs" / "examples").glob("*.py")):
        example.with_suffix(".out").write_text(_output(str(example)), encoding="utf-8")
    _output(str(ROOT / "docs" / "formats_page.py"))
    for page in sorted((ROOT / "docs").glob("*.md")):
        page.write_text(embedded(page.read_text("utf-8")), encoding="utf-8")
        pictures(page)
        experiments(page)
        questions(page)
        run_cells(page)
    readme = ROOT / "README.md"
    demo = _output("-m", "accelsim", "demo").rstrip() + "\n"
    readme.write_text(DEMO.sub(lambda found: found[1] + demo + found[2], readme.read_text("utf-8")), encoding="utf-8")
    for page in (readme, *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text("utf-8")
        fresh = OUTPUT.sub(lambda found: found[1] + _output("-m", "accelsim", *found[2].split()) + found[3], text)
        if fresh != text:
            page.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()

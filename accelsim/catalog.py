"""Finding, reading and checking descriptions, by name or by path.

The folders `arch/`, `workloads/`, `dataformats/` and `sweeps/` lie within an installed package, or else
at the root of the checkout. A file's stem is the name of what it describes. Formats of one's own are found in the
folders that the environment variable ACCELSIM_FORMATS names.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

from accelsim.errors import AccelsimError, DescriptionError, Fault, RequestError, UnknownNameError, did_you_mean
from accelsim.spec import faults, files, kinds, read
from accelsim.spec.base import Name, Record, Sourced
from accelsim.spec.calibration import Calibration
from accelsim.spec.chip import FAMILIES, Chip, ModelSystem
from accelsim.spec.dram import Dram
from accelsim.spec.files import File
from accelsim.spec.format import KINDS as FORMAT_KINDS
from accelsim.spec.format import Format
from accelsim.spec.format.names import HINT, from_name
from accelsim.spec.huggingface import read_config, read_model_file
from accelsim.spec.kinds import FOLDERS, NOUNS, TELLTALE
from accelsim.spec.model import Model
from accelsim.spec.node import Node
from accelsim.spec.system import System

R = TypeVar("R", bound=Record)

Kind = kinds.Kind
KINDS: Final = kinds.KINDS

OWN_FORMATS: Final = "ACCELSIM_FORMATS"
"""Names folders of formats beside the shipped ones, with the separator of PATH between them."""

_SETTLED_NS: Final = 100_000_000
_listings: dict[tuple[Kind, Path, str], tuple[dict[Path, int], dict[str, Path]]] = {}
_cache: dict[Path, tuple[tuple[int, int], Record]] = {}


def root() -> Path:
    """The folder that holds the four folders of descriptions.

    Raises:
        AccelsimError: neither the package nor a checkout around it has them.
    """
    package = Path(__file__).parent
    if (package / "_catalog").is_dir():
        return package / "_catalog"
    # without this guard, a package built without its data would read somebody else's `arch` in site-packages
    if (package.parent / "pyproject.toml").is_file() and (package.parent / "arch").is_dir():
        return package.parent
    raise AccelsimError(
        "accelsim was installed without its descriptions: install it from a wheel or a checkout that has the "
        "folders arch, workloads, dataformats and sweeps"
    )


def names(kind: Kind) -> tuple[str, ...]:
    """The names of one kind, in alphabetical order.

    Raises:
        DescriptionError: two files have one stem.
    """
    return tuple(_files(kind))


def path(kind: Kind, name: str | os.PathLike[str]) -> Path:
    """The file that describes a name; a path is returned as it is.

    Text is taken for a path if it has a folder, ends in .toml or .json, or names no entry of the catalogue
    but an existing file. A folder stands for the config.json in it, where a model is asked for.

    Raises:
        UnknownNameError: no such name; lists the nearest.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise RequestError(f"expected the name of a {NOUNS[kind]} or a path, not {name!r}")
    found = Path(name)
    if isinstance(name, str) and not _is_path(name):
        known = _files(kind)
        if name in known:
            return known[name]
        if not name or not found.exists():
            example = "path/to/config.json" if kind == "models" else f"path/to/{NOUNS[kind]}.toml"
            hint = f"all: accelsim list {kind}      own file: {example}"
            if kind == "formats":
                hint += f"\n      {HINT}"
            raise UnknownNameError(NOUNS[kind], name, known, hint=hint)
    if kind == "models" and found.is_dir() and (found / "config.json").is_file():
        return found / "config.json"
    return found


def chip(source: str | os.PathLike[str] | Chip, overrides: Mapping[str, object] | None = None) -> Chip:
    """A chip by name, path or record.

    Args:
        source: a name of `names("arch")`, the path of a TOML file, or a record.
        overrides: dotted keys to other values, as for `Description.with_`.

    Raises:
        UnknownNameError: no such chip, or no such key to override.
        DescriptionError: every fault of the file.
    """
    record: Chip = _cached(path("arch", source), _read_chip) if isinstance(source, (str, os.PathLike)) else source
    return record.with_(overrides) if overrides else record


def part(system: System | ModelSystem) -> Chip:
    """The part that a system is made of, with the system's changes.

    Raises:
        UnknownNameError: no such part, or no such key to change.
    """
    return chip(system.part, system.changes)


def model(source: str | os.PathLike[str] | Model, overrides: Mapping[str, object] | None = None) -> Model:
    """A model by name, path or record.

    Args:
        source: a name of `names("models")`, the path of a TOML file, of a Hugging Face `config.json` or of a
            folder that has one, or a record.
        overrides: keys of the configuration to other values.

    Raises:
        UnknownNameError: no such model, or no such key to override.
        DescriptionError: every fault of the file.
        RequestError: overrides for a record, which has no configuration any more.
    """
    if not isinstance(source, (str, os.PathLike)):
        if overrides:
            raise RequestError("a Model record has no configuration left to override: give its name or path instead")
        return source
    file = path("models", source)
    return _read_model(_load(file), file, overrides) if overrides else _cached(file, _read_model)


def format_(source: str | os.PathLike[str] | Format, overrides: Mapping[str, object] | None = None) -> Format:
    """A number format by name, path or record.

    Names that state their own parameters (`int3`, `posit6`, `e3m2`, `int4_g64`; see `spec.format.names`) need no
    file. An alias gives the record of the format that it stands for, under that one's name.

    Args:
        source: a name of `names("formats")` or of a family, the path of a TOML file, or a record.
        overrides: keys to other values, as for `Description.with_`.

    Raises:
        UnknownNameError: no such format, or no such key to override.
        DescriptionError: every fault of the file.
    """
    record = _format(source) if isinstance(source, (str, os.PathLike)) else source
    if not overrides:
        return record
    raw = read.apply(record.raw, overrides, type(record))
    return read.validate(type(record), raw, origin=f"{record.name} with overrides", formats=_format)


def _format(source: str | os.PathLike[str]) -> Format:
    known = _files("formats")
    if isinstance(source, str) and not _is_path(source):
        if source in known:
            return _cached(known[source], _read_format)
        try:
            record = from_name(source, _format)
        except UnknownNameError:
            pass  # it is a file, or nothing, and then the error below has the names that exist
        else:
            return _format(record.name) if record.name in known else record
    return _cached(path("formats", source), _read_format)


def node(source: str | os.PathLike[str] | Node) -> Node:
    """A process node by name, path or record.

    Raises:
        UnknownNameError: no such node.
        DescriptionError: every fault of the file.
    """
    return _cached(path("nodes", source), _read_node) if isinstance(source, (str, os.PathLike)) else source


def calibration(source: str | os.PathLike[str] | Calibration) -> Calibration:
    """Constants of a kernel library on a chip, by name, path or record.

    Raises:
        UnknownNameError: no such constants.
        DescriptionError: every fault of the file.
    """
    if not isinstance(source, (str, os.PathLike)):
        return source
    return _cached(path("calibrations", source), _read_calibration)


def dram(source: str | os.PathLike[str] | Dram, overrides: Mapping[str, object] | None = None) -> Dram:
    """A DRAM by name, path or record.

    Args:
        source: a name of `names("dram")`, the path of a TOML file, or a record.
        overrides: dotted keys to other values, as for `Description.with_`.

    Raises:
        UnknownNameError: no such DRAM, or no such key to override.
        DescriptionError: every fault of the file.
    """
    record: Dram = _cached(path("dram", source), _read_dram) if isinstance(source, (str, os.PathLike)) else source
    return record.with_(overrides) if overrides else record


def check(file: str | os.PathLike[str]) -> Chip | Node | Calibration | Dram | Model | Format:
    """The record of any description file; its folder or its keys tell what it describes.

    Raises:
        UnknownNameError: no such file.
        DescriptionError: every fault of the file, or it is no description of a known kind.
    """
    found = Path(file)
    if found.is_dir() and (found / "config.json").is_file():
        found = found / "config.json"
    content = _load(found)
    readers: dict[Kind, Callable[[File, Path], Chip | Node | Calibration | Dram | Model | Format]] = {
        "arch": _read_chip, "nodes": _read_node, "calibrations": _read_calibration,
        "dram": _read_dram, "models": _read_model, "formats": _read_format,
    }  # fmt: skip
    return readers[_recognise(content, found)](content, found)


def find(name: str) -> tuple[Kind, Path]:
    """The kind and the file of a name or path of any kind.

    Raises:
        UnknownNameError: nothing has that name.
        DescriptionError: the path is no description.
    """
    known = {} if _is_path(name) else {other: kind for kind in reversed(KINDS) for other in _files(kind)}
    if name in known:
        return known[name], path(known[name], name)
    if not _is_path(name) and not Path(name).exists():
        raise UnknownNameError("description", name, known, hint="all: accelsim list      own file: path/to/file.toml")
    found = path("models", name)
    return _recognise(_load(found), found), found


def prose(file: Path) -> str:
    """The comment that opens a description file: what is modelled, and what is left out."""
    return files.prose(_load(file).text)


def _is_path(name: str) -> bool:
    return Path(name).name != name or Path(name).suffix in (".toml", ".json")


def _files(kind: Kind) -> dict[str, Path]:
    """Names of one kind and their files, listed again only after one of the folders has changed."""
    key = (kind, root(), os.environ.get(OWN_FORMATS, "") if kind == "formats" else "")
    stamps, found = _listings.get(key, ({}, {}))
    if stamps and all(_stamp(folder) == stamp for folder, stamp in stamps.items()):
        return found
    found = _listed(kind)
    folders = {root() / FOLDERS[kind][0], *_own_folders(kind)}
    folders |= {inner for folder in folders for inner in folder.glob("**/")}
    stamps = {folder: _stamp(folder) for folder in folders}
    if max(stamps.values()) < time.time_ns() - _SETTLED_NS:  # a change within the clock's grain would go unseen
        _listings[key] = (stamps, found)
    return found


def _stamp(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return -1


def _listed(kind: Kind) -> dict[str, Path]:
    folder, pattern = FOLDERS[kind]
    found: dict[str, Path] = {}
    nested = [root() / other for other, _ in FOLDERS.values() if other.startswith(f"{folder}/")]
    files_ = [*(root() / folder).glob(pattern), *(file for own in _own_folders(kind) for file in own.glob("**/*.toml"))]
    for file in sorted(files_, key=lambda file: (file.stem, file)):
        if any(other in file.parents for other in nested):
            continue
        if file.stem in found:
            first = origin(found[file.stem])
            raise DescriptionError(origin(file), [Fault("", f"{first} has the same stem: a name belongs to one file")])
        found[file.stem] = file
    return found


def _own_folders(kind: Kind) -> Iterator[Path]:
    """Folders of one's own."""
    names = os.environ.get(OWN_FORMATS, "").split(os.pathsep) if kind == "formats" else ()
    for name in filter(None, names):
        folder = Path(name)
        if not folder.is_dir():
            raise RequestError(f"{OWN_FORMATS} names {name!r}, which is no folder")
        yield folder.absolute()


def origin(file: Path) -> str:
    """What messages call a file: from the four folders on if it lies within them."""
    try:
        return file.resolve().relative_to(root().resolve()).as_posix()
    except (ValueError, AccelsimError):
        return str(file)


def _load(file: Path) -> File:
    return files.load(file, origin(file))


def _cached(file: Path, reader: Callable[[File, Path], R]) -> R:
    """The record of a file, read again only after it has changed."""
    key = file.absolute()
    try:
        stat = file.stat()
    except OSError:
        return reader(_load(file), file)  # says what is wrong with the file
    stamp = (stat.st_mtime_ns, stat.st_size)
    if key not in _cache or _cache[key][0] != stamp:
        _cache[key] = (stamp, reader(_load(file), file))
    return cast(R, _cache[key][1])  # a file is of one kind, or its reader has raised


def _recognise(content: File, file: Path) -> Kind:
    """What a file describes: by its folder in the catalogue, else by its keys."""
    for kind, (folder, _) in FOLDERS.items():
        if content.origin.startswith(f"{folder}/") and kind in TELLTALE:
            return kind
    hits = {kind: len(keys & set(content.raw)) for kind, keys in TELLTALE.items()}
    best = max(hits, key=lambda kind: hits[kind])
    if not hits[best]:
        problem = (
            "describes no chip (family, ...), node (feature_nm, ...), calibration (library, ...), DRAM (standard, "
            "...), model ([config] or a config.json) or format (kind, bits, ...)"
        )
        raise DescriptionError(content.origin, [Fault("", problem)])
    return best


def _name_fault(content: File, file: Path) -> list[Fault]:
    """The fault of a name that is not the file's stem."""
    name = content.raw.get("name")
    if not isinstance(name, str) or name == file.stem:
        return []
    return [Fault("name", f"must be the file's stem: write {file.stem!r}, or rename the file", faults.written(name))]


def _named(content: File, file: Path, make: Callable[[], R]) -> R:
    """The record of a TOML file, or all its faults, that of its name included; every fault with its line."""
    found = _name_fault(content, file)
    try:
        record = make()
    except DescriptionError as error:
        found += error.faults
    if found:
        raise read.with_lines(DescriptionError(content.origin, found), content.text)
    return record


def _read_chip(content: File, file: Path) -> Chip:
    family = content.raw.get("family")
    record_type = FAMILIES.get(family) if isinstance(family, str) else None
    if record_type is None:
        fault = _choice("family", content, FAMILIES)
        raise read.with_lines(DescriptionError(content.origin, [*_name_fault(content, file), fault]), content.text)
    return _read_as(record_type, content, file)


def _read_as(record_type: type[R], content: File, file: Path) -> R:
    return _named(
        content, file, partial(read.validate, record_type, content.raw, origin=content.origin, text=content.text)
    )


_read_node: Final = partial(_read_as, Node)
_read_calibration: Final = partial(_read_as, Calibration)
_read_dram: Final = partial(_read_as, Dram)


class _Alias(Sourced):
    """A further name of a format."""

    name: Name
    alias_of: str


def _read_format(content: File, file: Path) -> Format:
    kind = content.raw.get("kind")
    if "alias_of" in content.raw:
        alias = _named(content, file, partial(read.validate, _Alias, content.raw, origin=content.origin))
        return _format(alias.alias_of)
    record_type = FORMAT_KINDS.get(kind) if isinstance(kind, str) else None
    if record_type is None:
        raise read.with_lines(
            DescriptionError(content.origin, [*_name_fault(content, file), _choice("kind", content, FORMAT_KINDS)]),
            content.text,
        )
    make = partial(read.validate, record_type, content.raw, origin=content.origin, text=content.text, formats=_format)
    return _named(content, file, make)


def _choice(key: str, content: File, known: Mapping[str, object]) -> Fault:
    """The fault of a key that selects the record and does not hold one of the names it may."""
    value = content.raw.get(key)
    names_ = ", ".join(known)
    if key not in content.raw:
        return Fault(key, f"missing: one of {names_}")
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    plural = {"family": "Families", "kind": "Kinds"}[key]
    return Fault(key, f"unknown {key}{near or '.'} {plural}: {names_}", faults.written(value))


def _read_model(content: File, file: Path, overrides: Mapping[str, object] | None = None) -> Model:
    raw = dict(content.raw)
    if file.suffix == ".json":
        config = read.apply(raw, overrides) if overrides else raw
        source = content.origin + _overridden(overrides)
        return read_config(
            config, name=_model_name(file), source=source, status="assumed" if overrides else "datasheet"
        )
    if overrides and isinstance(raw.get("config"), dict):
        raw["config"] = read.apply(raw["config"], overrides)
        raw |= {"source": f"{raw.get('source', '')}{_overridden(overrides)}", "status": "assumed"}
    return _named(content, file, lambda: read_model_file(raw, origin=content.origin))


def _overridden(overrides: Mapping[str, object] | None) -> str:
    return f"; overridden: {', '.join(overrides)}" if overrides else ""


def _model_name(file: Path) -> str:
    """A name for the model of a config.json: the file's stem, or that of its folder."""
    name = file.absolute().parent.name if file.stem == "config" else file.stem
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._") or "model"

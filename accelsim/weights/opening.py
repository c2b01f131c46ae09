"""A checkpoint from a path: one file, a folder, or an index over many files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from accelsim.errors import CheckpointError, DescriptionError
from accelsim.spec import files
from accelsim.weights.checkpoint import Checkpoint
from accelsim.weights.quantized import unpacked
from accelsim.weights.safetensors import read_safetensors

_INDEX = ".safetensors.index.json"


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The weights of a file, of a folder that has one, or of a sharded index.

    A neighbouring `config.json` is read for the parameters of a quantised checkpoint, whose codes and scales become
    one `Encoded` per weight, under the weight's usual name and without quantising anything again.

    Args:
        path: a `.safetensors` file, a `.safetensors.index.json`, or a folder with either.

    Raises:
        CheckpointError: nothing to read, a damaged file, an index that does not fit its files, or a way of packing
            that is not read.
    """
    given = Path(path)
    found = _in_folder(given) if given.is_dir() else given
    opened = _sharded(found) if found.name.endswith(_INDEX) else read_safetensors(found)
    return unpacked(opened, _quantization(found.parent / "config.json"))


def _in_folder(folder: Path) -> Path:
    for suffix in (_INDEX, ".safetensors"):
        found = sorted(folder.glob("*" + suffix))
        usual = folder / ("model" + suffix)
        if usual in found:
            return usual
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise CheckpointError(
                f"{folder}: {len(found)} files of weights, none of them model{suffix}: give one of {names}"
            )
    raise CheckpointError(f"{folder}: no .safetensors file in it")


def _sharded(index: Path) -> Checkpoint:
    """The tensors that an index names, each in its file."""
    placed = _weight_map(index)
    shards: dict[str, Checkpoint] = {}
    entries = {}
    for name, file in placed.items():
        if Path(file).name != file:
            raise CheckpointError(f"{index}: tensor {name!r} lies in {file!r}: shards are neighbours of their index")
        if file not in shards:
            shards[file] = read_safetensors(index.parent / file)
        entries[name] = shards[file].entry(name)
    return Checkpoint(entries, origin=str(index))


def _weight_map(index: Path) -> dict[str, str]:
    try:
        raw = json.loads(index.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{index}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{index}: is no JSON: {error}") from None
    placed = raw.get("weight_map") if isinstance(raw, dict) else None
    if not isinstance(placed, dict) or not all(isinstance(file, str) for file in placed.values()):
        raise CheckpointError(f"{index}: expected weight_map, an object from tensors to files")
    return placed


def _quantization(config: Path) -> dict[str, Any]:
    """The table `quantization_config` of a configuration, empty where there is none."""
    if not config.is_file():
        return {}
    try:
        found = files.load(config).raw.get("quantization_config") or {}
    except DescriptionError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{config}: quantization_config must be an object")
    return found

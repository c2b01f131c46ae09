"""Conformance vectors as files: one JSON document, or two CSV files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import vectors
from accelsim.numerics.format import DataFormat
from accelsim.results.export import write_whole

Row = Mapping[str, str]

PLAIN: Final = ("input", "policy", "code")
BLOCK: Final = (
    "vector", "tests", "inputs", "policy", "codes", "scales", "tensor_scale", "indices", "packed", "values",
)  # fmt: skip
DECODE: Final = ("role", "format", "bits", "code", "value", "fraction")


def write(made: DataFormat, path: Path) -> list[Path]:
    """Writes the vectors of a format in the form that the suffix names, whole or not at all.

    Args:
        made: the format under its policy.
        path: ends in .json, or in .csv, where `NAME-encode.csv` and `NAME-decode.csv` are written instead.

    Raises:
        RequestError: stochastic rounding, or a folder that cannot be written.
    """
    columns = BLOCK if made.record.scaled else PLAIN
    encode, decode = encode_rows(made), decode_rows(made)
    if path.suffix.lower() == ".json":
        return write_whole({path: partial(_json, made, list(encode), list(decode))})
    files = {
        path.with_name(f"{path.stem}-encode{path.suffix}"): partial(_csv, columns, list(encode)),
        path.with_name(f"{path.stem}-decode{path.suffix}"): partial(_csv, DECODE, list(decode)),
    }
    return write_whole(files)


def encode_rows(made: DataFormat) -> Iterator[Row]:
    """Inputs and what becomes of them; all cells are text."""
    policy = vectors.spelt(made.policy)
    if made.record.scaled:
        for at, vector in enumerate(vectors.blocks(made)):
            yield _block(at, vector, policy)
        return
    x, codes = vectors.plain(made)
    for bits, code in zip(x.view(np.uint32).tolist(), codes.tolist(), strict=True):
        yield {"input": f"{bits:08x}", "policy": policy, "code": _hex(code, made.bits)}


def _block(at: int, vector: vectors.BlockVector, policy: str) -> Row:
    encoded = vector.encoded
    whole = encoded.tensor_scale
    return {
        "vector": str(at),
        "tests": vector.why,
        "inputs": " ".join(f"{bits:08x}" for bits in vector.x.view(np.uint32).tolist()),
        "policy": policy,
        "codes": _several(encoded.codes, encoded.format.bits),
        "scales": _several(encoded.scales),
        "tensor_scale": "" if whole is None else float(whole).hex(),
        "indices": _several(encoded.mask_or_indices),
        "packed": vector.packed.hex(),
        "values": " ".join(value.hex() for value in vector.values.tolist()),
    }


def _several(codes: NDArray[Any] | None, bits: int = 4) -> str:
    if codes is None:
        return ""
    return " ".join(_hex(int(code), bits) for code in codes.reshape(-1).tolist())


def _hex(code: int, bits: int) -> str:
    return f"{code:0{-(-bits // 4)}x}"


def decode_rows(made: DataFormat) -> Iterator[Row]:
    """What codes mean; all cells are text."""
    for each in vectors.decode_table(made):
        yield {
            "role": each.role,
            "format": each.format,
            "bits": str(each.bits),
            "code": _hex(each.code, each.bits),
            "value": each.value,
            "fraction": each.fraction,
        }


def _csv(columns: Iterable[str], rows: list[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _json(made: DataFormat, encode: list[Row], decode: list[Row], path: Path) -> None:
    """One row per line, so that a difference between two versions can be read."""
    head = {
        "schema": "accelsim/format-vectors/1",
        "format": made.name,
        "record": made.record.model_dump(mode="json"),
        "policy": vectors.spelt(made.policy),
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, ensure_ascii=False)[:-1])
        for name, rows in (("encode", encode), ("decode", decode)):
            file.write(f',\n"{name}": [\n')
            file.write(",\n".join(json.dumps({k: v for k, v in row.items() if k != "policy"}) for row in rows))
            file.write("\n]")
        file.write("}\n")

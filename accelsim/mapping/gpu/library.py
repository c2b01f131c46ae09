"""Whose kernels run on a GPU, and how well they are known there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accelsim import catalog
from accelsim.errors import UnknownNameError
from accelsim.mapping.gpu.borrowed import borrowed
from accelsim.spec.calibration import Calibration, Collective, Conditions, RowKernels
from accelsim.spec.collective import CollectiveConstants
from accelsim.spec.device import GpuChip

CALIBRATED = "calibration.gemm"
"""Name of all constants of a library among the figures of a kernel."""

COLLECTIVE = "calibration.collective"
"""Likewise, of its collectives."""

ROWS = "calibration.rows"
"""Likewise, of its kernels that work by rows."""
ATTENTION = "calibration.attention"
"""Name of those of fused attention."""

NEAREST = "*"
"""In `Calibration.default_for`: generations that nobody has measured."""

BORROWED_ERROR = "8 to 28 %"
"""Mean errors of A100, B200 and L40S with H100's constants: what to expect of chips of a generation without any."""


@dataclass(frozen=True, slots=True)
class Library:
    """The kernels of a run.

    Attributes:
        calibration: their constants.
        attention: those of fused attention, which are others where `calibration` has none.
        conditions: what the run says of residency and clock.
        chip: name of the chip that they run on.
        kinds: family and generation of that chip.
    """

    calibration: Calibration
    attention: Calibration
    conditions: Conditions
    chip: str
    kinds: tuple[str, str]

    @property
    def label(self) -> str:
        """For `priced_by`: the library, with its chip where that is another one."""
        return self.calibration.library if self.calibrated else self.calibration.name

    @property
    def calibrated(self) -> bool:
        """Whether kernels of this very chip were timed."""
        return self.calibration.provenance is not None and self.calibration.chip == self.chip

    @property
    def note(self) -> str:
        """What a run says of its constants."""
        found = self.calibration
        if found.provenance is None:
            return f"uncalibrated: no kernel of {self.chip} was measured; data-sheet figures and assumptions alone"
        errors = found.provenance.held
        known = f"GEMMs by {found.library} on {found.chip}"
        if self.calibrated:
            off = 100 * errors.mean
            return (
                f"calibrated: {known} ({off:.1f} % off){self._attention}; other kernels: data-sheet figures and "
                "assumptions"
            )
        if getattr(catalog.chip(found.chip), "generation", None) == self.kinds[1]:
            return (
                f"uncalibrated: no kernel of this chip was measured; {known}, and chips of one generation were 6 % off "
                "when tested (H200 with H100's constants)"
            )
        return (
            f"uncalibrated: no kernel of this chip was measured; {known}, and chips of another generation were "
            f"{BORROWED_ERROR} off when tested"
        )

    @property
    def _attention(self) -> str:
        """What goes between: how well attention is known here."""
        known = self.attention.attention
        if known is None or known.prefill_provenance is None or known.decode_provenance is None:
            return ""
        if self.attention.chip != self.chip:
            return f"; attention as on {self.attention.chip}, uncalibrated here"
        told = (100 * fit.held.mean for fit in (known.prefill_provenance, known.decode_provenance))
        return "; attention ({:.1f} and {:.1f} % off over prompts and in decoding)".format(*told)


def library(chip: GpuChip, conditions: Conditions | None = None) -> Library:
    """The kernels of a chip: its own constants, those of its generation, or those of the plainest GPU.

    Raises:
        UnknownNameError: a library of which no constants are known.
        DescriptionError: a calibration file that is not valid.
    """
    asked = conditions or Conditions()
    kinds = (chip.family, chip.generation)
    records = calibrations()
    chosen = _chosen(records, chip.name, kinds, asked.library)
    timed = [record for record in records if record.attention is not None]
    attention = chosen if chosen.attention is not None else _chosen(timed, chip.name, kinds, None)
    return Library(borrowed(chosen, chip), borrowed(attention, chip), asked, chip.name, kinds)


def calibrations() -> list[Calibration]:
    """All constants that are described."""
    return [catalog.calibration(entry) for entry in catalog.names("calibrations")]


def libraries() -> list[str]:
    """What a run may name: libraries, and calibrations by their own names."""
    return sorted({name for record in calibrations() for name in (record.library, record.name)})


def _chosen(records: list[Calibration], chip: str, kinds: tuple[str, str], name: str | None) -> Calibration:
    if name is not None:
        fitting = [record for record in records if name in (record.library, record.name)]
        if not fitting:
            known = sorted({record.library for record in records})
            raise UnknownNameError("library", name, known, hint="all: accelsim list calibrations")
        records = fitting
    return min(records, key=_rank(chip, kinds))


@dataclass(frozen=True, slots=True)
class Collectives:
    """Collectives between the GPUs of a run.

    Attributes:
        calibration: that has their constants.
        chip: name of the chip that they run between.
    """

    calibration: Calibration
    chip: str

    @property
    def label(self) -> str:
        """For `priced_by`: the library, with its chip where that is another one."""
        name = self.calibration.collective[0].library
        return name if self.calibration.chip == self.chip else f"{self.calibration.chip}-{name}"

    @property
    def note(self) -> str:
        """What a run of several GPUs says of them."""
        found = [row.provenance.held.mean for row in self.calibration.collective]
        known = f"collectives by {self.calibration.collective[0].library} on {self.calibration.chip}"
        where = "calibrated" if self.calibration.chip == self.chip else "not measured between these chips"
        return f"{known} ({where}; {100 * min(found):.1f} to {100 * max(found):.1f} % off there)"

    def constants(self, operation: str) -> CollectiveConstants:
        """Those of an operation."""
        return self.row(operation).constants

    def row(self, operation: str) -> Collective:
        """Constants of an operation with where they come from; every calibration with collectives has all of them."""
        return next(row for row in self.calibration.collective if row.constants.operation == operation)


def collectives(chip: GpuChip) -> Collectives:
    """What is known of the collectives of a chip: its own constants, those of its generation, or the plainest GPU's."""
    records = [record for record in calibrations() if record.collective]
    return Collectives(min(records, key=_rank(chip.name, (chip.family, chip.generation))), chip.name)


def row_kernels(chip: GpuChip) -> RowKernels | None:
    """What softmax and norm kernels of a chip hold, or of the GPU nearest to it; None for what is no GPU."""
    if chip.family != "gpu":
        return None
    records = [record for record in calibrations() if record.rows]
    return min(records, key=_rank(chip.name, (chip.family, chip.generation))).rows


def _rank(chip: str, kinds: tuple[str, str]) -> Callable[[Calibration], tuple[bool, bool, bool]]:
    """Own constants first, then those of the generation, then those for generations that nobody measured."""

    def rank(record: Calibration) -> tuple[bool, bool, bool]:
        return (record.chip != chip, not set(kinds) & set(record.default_for), NEAREST not in record.default_for)

    return rank

"""Whose kernels run on a GPU, and how well they are known there."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim import catalog
from accelsim.errors import UnknownNameError
from accelsim.spec.calibration import Calibration, Conditions
from accelsim.spec.device import GpuChip

CALIBRATED = "calibration.gemm"
"""Name of all constants of a library among the figures of a kernel."""

NEAREST = "*"
"""In `Calibration.default_for`: generations that nobody has measured."""

BORROWED_ERROR = "9 to 31 %"
"""Mean errors of A100, B200 and L40S with H100's constants: what to expect of chips of a generation without any."""


@dataclass(frozen=True, slots=True)
class Library:
    """The kernels of a run.

    Attributes:
        calibration: their constants.
        conditions: what the run says of residency and clock.
        chip: name of the chip that they run on.
        kinds: family and generation of that chip.
    """

    calibration: Calibration
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
            return f"calibrated: {known} ({off:.1f} % off); other kernels: data-sheet figures and assumptions"
        if set(self.kinds) & set(found.default_for):
            return (
                f"uncalibrated: no kernel of this chip was measured; {known}, and chips of one generation were 5 % off "
                "when tested (H200 with H100's constants)"
            )
        return (
            f"uncalibrated: no kernel of this chip was measured; {known}, and chips of another generation were "
            f"{BORROWED_ERROR} off when tested"
        )


def library(chip: GpuChip, conditions: Conditions | None = None) -> Library:
    """The kernels of a chip: its own constants, those of its generation, or those of the plainest GPU.

    Raises:
        UnknownNameError: a library of which no constants are known.
        DescriptionError: a calibration file that is not valid.
    """
    asked = conditions or Conditions()
    kinds = (chip.family, chip.generation)
    return Library(_chosen(chip.name, kinds, asked.library), asked, chip.name, kinds)


def _chosen(chip: str, kinds: tuple[str, str], name: str | None) -> Calibration:
    records = [catalog.calibration(entry) for entry in catalog.names("calibrations")]
    if name is not None:
        fitting = [record for record in records if name in (record.library, record.name)]
        if not fitting:
            known = sorted({record.library for record in records})
            raise UnknownNameError("library", name, known, hint="all: accelsim list calibrations")
        records = fitting

    def rank(record: Calibration) -> tuple[bool, bool, bool]:
        return (record.chip != chip, not set(kinds) & set(record.default_for), NEAREST not in record.default_for)

    return min(records, key=rank)

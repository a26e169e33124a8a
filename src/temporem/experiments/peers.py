"""Evaluations of other programs, brought by a person."""

from dataclasses import dataclass
from pathlib import Path

from temporem.errors import UserError
from temporem.evaluation.evaluation_folder import Evaluation, read_evaluation
from temporem.experiments.steps import readable

__all__ = ["Peers"]


@dataclass(frozen=True)
class Peers:
    """A folder with one evaluation for each data set, or none."""

    folder: Path | None = None

    def __post_init__(self) -> None:
        """Raise UserError for a folder that is none."""
        if self.folder is not None and not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder: give one with evaluations of the other program.")

    def evaluation(self, program: str, data: str, seed: int, key: str) -> Evaluation | None:
        """Evaluation of a data set, in the subfolder `program` of the folder `DATA-sSEED`.

        Underscores may stand for the rest but letters and digits, and the data set's hash for its name. None
        where it was not brought. Raises UserError where it cannot be read.
        """
        if self.folder is None:
            return None
        for name in (key, readable(f"{data}-s{seed}"), readable(f"{data}-s{seed}").replace("-", "_")):
            if (self.folder / name / program).is_dir():
                return read_evaluation(self.folder / name / program)
        return None

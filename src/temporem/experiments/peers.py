"""Evaluations of other programs, brought by a person."""

from dataclasses import dataclass
from pathlib import Path

from temporem.errors import UserError
from temporem.evaluation.evaluation_folder import Evaluation, read_evaluation

__all__ = ["Peers"]


@dataclass(frozen=True)
class Peers:
    """A folder with one evaluation for each data set, or none."""

    folder: Path | None = None

    def evaluation(self, data: str, seed: int, key: str) -> Evaluation | None:
        """Evaluation of the data set, in the folder `DATA-sSEED` or the one named by the data set's hash.

        None where it was not brought. Raises UserError where it cannot be read.
        """
        if self.folder is None:
            return None
        if not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder: give one with evaluations of the other program.")
        for name in (key, f"{data}-s{seed}"):
            if (self.folder / name).is_dir():
                return read_evaluation(self.folder / name)
        return None

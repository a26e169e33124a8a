"""Columns of text from a STAR or CSV file, turned into numbers with the file, column and row named where one
is not."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError

__all__ = ["Table", "existing_file", "read_csv", "reason", "unusable"]

# What to do about a missing column that the user named.
NAME_ANOTHER = "name another"


@dataclass(frozen=True)
class Table:
    """Columns of equal length, as text; `source` names the file in messages."""

    source: str
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def text(self, name: str, remedy: str = NAME_ANOTHER) -> Sequence[str]:
        """Return one column as text; a name may begin with the underscore that STAR files write before it.

        Raises UserError where the file has no such column; `remedy` says what to do then.
        """
        for known in (name, name.removeprefix("_")):
            if known in self.columns:
                return self.columns[known]
        has = ", ".join(self.columns) or "none"
        raise UserError(f"{self.source} has no column {name}; {remedy} (it has {has}).")

    def numbers(self, name: str, remedy: str = NAME_ANOTHER) -> npt.NDArray[np.float64]:
        """Return one column (rows,) as finite numbers.

        Raises UserError as `text` does, and for the first row that holds no finite number.
        """
        text = self.text(name, remedy)
        try:
            values = np.array([float(x) for x in text], dtype=np.float64)
        except ValueError:
            row = next(i for i, x in enumerate(text) if not _is_number(x))
            raise UserError(
                f"{self.source} row {row}, column {name}: {text[row]!r} is not a number; correct that value."
            ) from None
        wrong = unusable(values)
        if len(wrong):
            row = int(wrong[0])
            raise UserError(
                f"{self.source} row {row}, column {name}: {text[row]!r} is not a finite number; correct that "
                "value."
            )
        return values

    def whole_numbers(self, name: str, remedy: str = NAME_ANOTHER) -> npt.NDArray[np.int64]:
        """Return one column (rows,) as integers; 3.0 counts as one.

        Raises UserError as `numbers` does, and for a fraction or a number beyond 2⁵³.
        """
        values = self.numbers(name, remedy)
        wrong = np.flatnonzero((values != np.round(values)) | (np.abs(values) > 2**53))
        if len(wrong):
            row = int(wrong[0])
            raise UserError(
                f"{self.source} row {row}, column {name}: {self.text(name)[row]!r} is not a whole number; "
                "correct that value."
            )
        return values.astype(np.int64)

    def single_number(self, name: str) -> float:
        """Return the one value that every row of a column holds.

        Raises UserError where rows differ.
        """
        values = self.numbers(name)
        if not np.allclose(values, values[0], rtol=1e-6, atol=0):
            row = int(np.flatnonzero(~np.isclose(values, values[0], rtol=1e-6, atol=0))[0])
            raise UserError(
                f"{self.source}, column {name}: {values[0]:g} in row 0 but {values[row]:g} in row {row}; all "
                "images must share one value, with or without --pixel-size, so resample them to one, or "
                "split the file."
            )
        return float(values[0])


def unusable(values: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Rows (first axis) that hold a value that is not finite in float32."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.astype(np.float32))
    return np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1))


def reason(error: Exception) -> str:
    """Return what an exception says, on one line and without a full stop, to end a sentence with."""
    return " ".join(str(error).split()).rstrip(".")


def existing_file(path: Path) -> Path:
    """Return `path`.

    Raises UserError where it is not a file.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder where a file was expected; give a file in it.")
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path.")
    return path


def read_csv(path: Path) -> Table:
    """Read a comma-separated file with a header line.

    Raises UserError where it is missing, not UTF-8 text, empty, separated by semicolons, or has rows of
    another length than the header.
    """
    try:
        with existing_file(path).open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} is not a comma-separated text file: {reason(error)}; save it as one."
        ) from None
    if len(lines) < 2:
        raise UserError(f"{path} has no rows; it needs a header line and one line per image.")
    header = [name.strip() for name in lines[0][1]]
    if len(header) == 1 and ";" in header[0]:
        raise UserError(f"{path} separates its columns by semicolons; separate them by commas.")
    if len(set(header)) < len(header):
        raise UserError(f"{path} names a column twice in its header; rename one ({', '.join(header)}).")
    for number, row in lines:
        if len(row) != len(header):
            raise UserError(
                f"{path} line {number} has {len(row)} values but the header names {len(header)} columns; "
                "correct that line."
            )
    rows = [row for _, row in lines[1:]]
    return Table(str(path), {name: [row[i].strip() for row in rows] for i, name in enumerate(header)})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

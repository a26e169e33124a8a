"""Images on disk: rows of a movie set, each a slice of one of several stacks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.movies.mrc import MrcStack
from temporem.movies.table import existing_file
from temporem.movies.tiff import TiffStack

__all__ = ["STACK_SUFFIXES", "StackImages", "open_stack"]

STACK_SUFFIXES = (".mrc", ".mrcs", ".tif", ".tiff")

Stack = MrcStack | TiffStack


def open_stack(path: Path) -> Stack:
    """Read the layout of an MRC or TIFF stack by its suffix.

    Raises UserError where the file is missing, of another kind, or corrupt.
    """
    suffix = path.suffix.lower()
    if suffix not in STACK_SUFFIXES:
        raise UserError(f"{path} is not an image stack; temporem reads {', '.join(STACK_SUFFIXES)}.")
    return (
        TiffStack.open(existing_file(path))
        if suffix.startswith(".tif")
        else MrcStack.open(existing_file(path))
    )


class StackImages:
    """Rows of images, each one slice of one stack; a read maps the files it needs, then lets go of them.

    `stack_of_row` and `slice_of_row` (rows,) say where each row lies, slices counted from 0. Raises UserError
    for boxes that differ, are not square or are odd, and for a slice that a stack does not have.
    """

    def __init__(
        self,
        stacks: Sequence[Stack],
        stack_of_row: npt.NDArray[np.integer],
        slice_of_row: npt.NDArray[np.integer],
    ) -> None:
        self.stacks = tuple(stacks)
        self._stack_of_row = np.asarray(stack_of_row, dtype=np.int64)
        self._slice_of_row = np.asarray(slice_of_row, dtype=np.int64)
        first = self.stacks[0]
        for stack in self.stacks:
            _, rows, columns = stack.shape
            if rows != columns:
                raise UserError(
                    f"{stack.path} holds images of {columns} × {rows} pixels; they must be square, so crop "
                    "or pad them."
                )
            if rows % 2:
                raise UserError(
                    f"{stack.path} has an odd box of {rows} pixels; crop or pad the images to an even one."
                )
            if stack.shape[1:] != first.shape[1:]:
                raise UserError(
                    f"{stack.path} has a box of {rows} pixels but {first.path} one of {first.shape[1]}; "
                    "bring all images to one box."
                )
        counts = np.array([stack.shape[0] for stack in self.stacks])
        wrong = np.flatnonzero((self._slice_of_row < 0) | (self._slice_of_row >= counts[self._stack_of_row]))
        if len(wrong):
            row = int(wrong[0])
            stack = self.stacks[self._stack_of_row[row]]
            raise UserError(
                f"row {row} asks for image {self._slice_of_row[row] + 1} of {stack.path}, which holds "
                f"{stack.shape[0]} (counted from 1): give the stack and the table that belong together."
            )

    @classmethod
    def all_of(cls, stacks: Sequence[Stack]) -> "StackImages":
        """Every image of every stack, in order."""
        counts = [stack.shape[0] for stack in stacks]
        slices = np.concatenate([np.arange(count) for count in counts])
        return cls(stacks, np.repeat(np.arange(len(stacks)), counts), slices)

    @property
    def box_size(self) -> int:
        """Pixels along one edge."""
        return self.stacks[0].shape[1]

    @property
    def stack_of_row(self) -> npt.NDArray[np.int64]:
        """Index into `stacks` of each row."""
        return self._stack_of_row

    @property
    def slice_of_row(self) -> npt.NDArray[np.int64]:
        """Which image of its stack each row is, from 0."""
        return self._slice_of_row

    def __len__(self) -> int:
        return len(self._stack_of_row)

    def read(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Images (rows, y, x) as stored, as float32."""
        rows = np.asarray(rows, dtype=np.int64)
        images = np.empty((len(rows), self.box_size, self.box_size), dtype=np.float32)
        for index in np.unique(self._stack_of_row[rows]):
            here = np.flatnonzero(self._stack_of_row[rows] == index)
            images[here] = self.stacks[index].read(self._slice_of_row[rows[here]])
        return images

    def name(self, row: int) -> str:
        """RELION's name of an image: `000001@` and the stack's absolute path."""
        path = self.stacks[self._stack_of_row[row]].path.resolve()
        return f"{self._slice_of_row[row] + 1:06d}@{path}"

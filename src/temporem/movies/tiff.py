"""TIFF stacks, one page per image."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from temporem.errors import UserError
from temporem.movies.table import reason

__all__ = ["TiffStack"]


@dataclass(frozen=True)
class TiffStack:
    """Layout of a multi-page TIFF; its pixel size is not read: the format has no one place for it."""

    path: Path
    shape: tuple[int, int, int]
    """Images, rows, columns."""
    data_type: np.dtype[np.generic]
    data_offset: int | None
    """Where the images lie one after the other; None where they are compressed or scattered."""
    pixel_size_in_angstroms: float | None = None

    @classmethod
    def open(cls, path: Path) -> "TiffStack":
        """Read and check the layout.

        Raises UserError where the file is not TIFF, or not grey images of one shape.
        """
        try:
            with tifffile.TiffFile(path) as file:
                series = file.series[0]
                shape, data_type = tuple(int(x) for x in series.shape), series.dtype
                offset, axes = series.dataoffset, series.axes
                byte_order = file.byteorder
                number_of_series = len(file.series)
        except Exception as error:  # tifffile raises whatever a corrupt file leads it to
            raise UserError(f"{path} could not be read as TIFF: {reason(error)}; write it again.") from None
        if len(shape) == 2:
            shape = (1, *shape)
        grey = axes.endswith("YX") and data_type is not None and data_type.kind in "iuf"
        if number_of_series != 1 or len(shape) != 3 or min(shape) < 1 or not grey:
            raise UserError(
                f"{path} must hold grey images of one shape, one per page, but holds {shape} of {data_type}; "
                "write it so."
            )
        count, rows, columns = shape
        if offset is not None and offset + math.prod(shape) * data_type.itemsize > path.stat().st_size:
            raise UserError(f"{path} is shorter than the {count} images it should hold; write it again.")
        return cls(path, (count, rows, columns), data_type.newbyteorder(byte_order), offset)

    def read(self, slices: npt.NDArray[np.integer]) -> npt.NDArray[np.generic]:
        """Images (slices, y, x); only these are read from disk."""
        if self.data_offset is not None:
            return np.asarray(np.memmap(self.path, self.data_type, "r", self.data_offset, self.shape)[slices])
        try:
            pages = tifffile.imread(self.path, key=[int(x) for x in slices])
        except Exception as error:  # as above
            raise UserError(f"{self.path} has a corrupt image: {reason(error)}; write it again.") from None
        return np.asarray(pages).reshape(len(slices), *self.shape[1:])

"""MRC stacks: the header (https://www.ccpem.ac.uk/mrc-format/mrc2014/), checked, and a streaming writer."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import machine_stamp_from_byte_order

from temporem.errors import UserError
from temporem.files import replacing

__all__ = ["MrcStack", "write_mrcs"]

HEADER_BYTES = 1024
TYPE_OF_MODE = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


@dataclass(frozen=True)
class MrcStack:
    """The layout of one stack of images on disk."""

    path: Path
    data_type: np.dtype[np.generic]
    shape: tuple[int, int, int]
    """Images, rows, columns."""
    data_offset: int
    pixel_size_in_angstroms: float | None
    """What the header says; None where it says nothing, or 1, which many programs write for nothing."""

    @classmethod
    def open(cls, path: Path) -> "MrcStack":
        """Read and check the header.

        Raises UserError where the file is not MRC, of a mode that holds no real images, or of another length
        than its header says.
        """
        with path.open("rb") as file:
            raw = file.read(HEADER_BYTES)
        if len(raw) < HEADER_BYTES or raw[208:211] != b"MAP":
            raise UserError(
                f"{path} is not an MRC file: it lacks the word MAP at byte 208; check what wrote it."
            )
        # The machine stamp: 0x11 begins a big-endian file, 0x44 a little-endian one.
        order = ">" if raw[212] == 0x11 else "<"
        header = np.frombuffer(raw, dtype=HEADER_DTYPE.newbyteorder(order))[0]
        mode, extended = int(header["mode"]), int(header["nsymbt"])
        columns, rows, count = (int(header[name]) for name in ("nx", "ny", "nz"))
        if mode not in TYPE_OF_MODE:
            known = ", ".join(str(x) for x in TYPE_OF_MODE)
            raise UserError(
                f"{path} has MRC mode {mode}, which holds no real images; write it in one of {known}."
            )
        if min(columns, rows, count) < 1 or extended < 0:
            raise UserError(
                f"{path} has a corrupt MRC header: {count} images of {rows} × {columns} pixels; write it "
                "again."
            )
        data_type = np.dtype(order + TYPE_OF_MODE[mode])
        image_bytes = rows * columns * data_type.itemsize
        surplus = path.stat().st_size - HEADER_BYTES - extended - count * image_bytes
        if surplus < 0 or surplus >= image_bytes:
            raise UserError(
                f"{path} has room for {count + surplus // image_bytes} images but its header says {count}; "
                "it was cut short or its header is wrong, so write it again."
            )
        length, samples = float(header["cella"]["x"]), int(header["mx"])
        pixel_size = length / samples if samples > 0 and np.isfinite(length) else 0.0
        stated = pixel_size if pixel_size > 0 and pixel_size != 1 else None
        return cls(path, data_type, (count, rows, columns), HEADER_BYTES + extended, stated)

    def read(self, slices: npt.NDArray[np.integer]) -> npt.NDArray[np.generic]:
        """Images (slices, y, x); only these are read from disk."""
        images = np.memmap(self.path, self.data_type, "r", self.data_offset, self.shape)
        return np.asarray(images[slices])


def write_mrcs(
    path: Path, images: Iterable[npt.NDArray[np.floating]], pixel_size_in_angstroms: float
) -> None:
    """Write images (y, x) one after the other as a float32 MRC stack, atomically, holding one at a time.

    Raises ValueError where there is none, or shapes differ.
    """
    count, total, squares = 0, 0.0, 0.0
    low, high, shape = np.inf, -np.inf, None
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(bytes(HEADER_BYTES))
        for image in images:
            pixels = np.ascontiguousarray(image, dtype="<f4")
            if pixels.ndim != 2 or shape not in (None, pixels.shape):
                raise ValueError(f"image {count} of shape {pixels.shape} among images of shape {shape}")
            shape = pixels.shape
            file.write(pixels.tobytes())
            count += 1
            total += float(pixels.sum(dtype=np.float64))
            squares += float(np.square(pixels, dtype=np.float64).sum())
            low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
        if shape is None:
            raise ValueError("no image to write")
        mean = total / (count * shape[0] * shape[1])
        variance = squares / (count * shape[0] * shape[1]) - mean**2
        file.seek(0)
        file.write(
            _header(count, shape, pixel_size_in_angstroms, (low, high, mean, max(variance, 0.0) ** 0.5))
        )


def _header(
    count: int, shape: tuple[int, int], pixel_size: float, statistics: tuple[float, float, float, float]
) -> bytes:
    header = np.zeros((), dtype=HEADER_DTYPE.newbyteorder("<"))
    rows, columns = shape
    header["nx"], header["ny"], header["nz"] = columns, rows, count
    # An image stack: space group 0 and one section per unit cell.
    header["mode"], header["mx"], header["my"], header["mz"] = 2, columns, rows, 1
    header["cella"] = (columns * pixel_size, rows * pixel_size, pixel_size)
    header["cellb"] = (90, 90, 90)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = statistics
    header["nversion"], header["map"] = 20140, b"MAP "
    header["machst"] = machine_stamp_from_byte_order("<")
    return bytes(header.tobytes())

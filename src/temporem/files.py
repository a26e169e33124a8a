"""Atomic writes: a reader sees the old file or the new one, never half of one."""

import errno
import json
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError

__all__ = [
    "check_folder",
    "check_makeable",
    "read_ahead",
    "replacing",
    "reserve",
    "room_for",
    "write_json",
    "write_text",
]

FULL = os.strerror(errno.ENOSPC)
BYTES_IN_MEMORY = 2**30
"""An array of more bytes than these lives in a temporary file."""


def check_folder(path: Path) -> None:
    """Raise UserError where files cannot be written into `path` because a file is in its way."""
    for part in (path, *path.parents):
        if part.exists():
            if not part.is_dir():
                raise UserError(f"{part} is a file, not a folder: choose another folder to write into.")
            return


def check_makeable(path: Path) -> None:
    """Raise OSError where a folder cannot be made; what is made to see it is taken away again."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        folder.rmdir()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that replaces it when the block ends without an error.

    The temporary file has the same suffix, so that writers which choose a format by suffix choose the same
    one. An OSError that names no file, or the temporary one, is given the name of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give the file the permissions an ordinary one would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        # One without an error number would lose its words by being given a file's name.
        if error.errno is not None and error.filename in (None, name, temporary):
            error.filename = str(path)
        raise
    except Exception as error:
        # Libraries that write through Rust or C say it in words, without the file's name.
        if FULL in str(error):
            raise OSError(errno.ENOSPC, FULL, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def reserve(descriptor: int, size: int, path: Path) -> None:
    """Take the disk's first `size` bytes of the open file at `path` now, not when they are written.

    Files written through a memory map need it: a disk found full through the map kills the process.

    Raises OSError, naming `path`, where there is no room. Does nothing on systems without posix_fallocate.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            error.filename = str(path)
            raise


def room_for(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Room for an array, its values not set: in memory, or in a temporary file without a name.

    The file goes with the array. It lies in the folder that TMPDIR names, or the system's for such files.

    Raises UserError where the disk has no room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= BYTES_IN_MEMORY:
        return np.empty(shape, dtype)
    folder = Path(tempfile.gettempdir())
    with tempfile.TemporaryFile(prefix="temporem-") as file:
        try:
            reserve(file.fileno(), size, folder)
        except OSError as error:
            raise UserError(
                f"there is no room in {folder} for a temporary file of {size / 1e9:.1f} GB"
                f" ({error.strerror}): make room, or set TMPDIR to a folder on a larger disk."
            ) from error
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


def read_ahead(array: npt.NDArray[Any], rows: Iterable[int], size: int) -> None:
    """Have the system read `size` bytes of each of these rows, while something else is computed.

    For an array of `room_for` that lies in a file; for one in memory there is nothing to do.
    """
    buffer = array.base
    if not isinstance(buffer, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    for row in rows:
        first = row * array.strides[0]
        page = first // mmap.PAGESIZE * mmap.PAGESIZE
        buffer.madvise(mmap.MADV_WILLNEED, page, first + size - page)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically, as indented JSON; a NaN is an error, not a silent non-JSON word."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")

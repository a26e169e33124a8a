"""What a person is told when something goes wrong: one sentence, and the exit code that goes with it."""

import errno
import os
import tempfile
import traceback
from collections.abc import Iterator

from temporem.errors import UserError

__all__ = ["INTERRUPTED", "MENDABLE", "UNEXPECTED", "explain"]

MENDABLE = 2
"""Exit code of everything the person can mend."""
INTERRUPTED = 130
"""Exit code of a program stopped by Ctrl-C, as shells have it."""
UNEXPECTED = 1
"""Exit code of a mistake of ours."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def explain(error: BaseException) -> tuple[str, int]:
    """Return the sentence and the exit code for `error`."""
    if isinstance(error, UserError):
        return _one_line(error), MENDABLE
    if isinstance(error, KeyboardInterrupt):
        return _one_line(error) or "Stopped; every file already written is whole.", INTERRUPTED
    if any(_is_disk_full(x) for x in _chain(error)):
        where = next((str(x.filename) for x in _chain(error) if isinstance(x, OSError) and x.filename), None)
        what = f"The disk is full: {where} could not be written" if where else "The disk is full"
        again = "every file already written is whole, and temporem reconstruct goes on with --resume"
        return f"{what}; make room and repeat the command ({again}).", MENDABLE
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        what = f"{error.filename} could not be written" if error.filename else "A file could not be written"
        return f"{what}: the disk or a limit allows no file so large; write to another disk.", MENDABLE
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else "The system refused: "
        return f"{where}{error.strerror}; check the path and its permissions.", MENDABLE
    if isinstance(error, MemoryError) or _is_device_out_of_memory(error):
        return "The memory is full; close other programs, or make the images smaller with --box.", MENDABLE
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("temporem"):
        return f"The Python package {error.name} is missing; install it and repeat the command.", MENDABLE
    kind = type(error).__name__
    return f"A mistake in temporem itself ({kind}: {_one_line(error)}); {_keep(error)}.", UNEXPECTED


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and those it was raised from, which name the file when the last one does not."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return True
    # Libraries that write through Rust or C say it in words only; numpy, by how much it could not write.
    words = str(error)
    short = isinstance(error, OSError) and "requested and" in words and words.endswith("written")
    return short or "No space left on device" in words or f"code: {errno.ENOSPC}," in words


def _is_device_out_of_memory(error: BaseException) -> bool:
    # By name, because asking torch for the class would import it for every failure.
    return type(error).__name__ == "OutOfMemoryError"


def _keep(error: BaseException) -> str:
    """Write the traceback to a file and say where it is."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="temporem-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return "the details could not be written to a file"
    return f"the details, to be sent to its authors, are in {name}"

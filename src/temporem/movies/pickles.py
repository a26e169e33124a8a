"""Pickles that others wrote, read without running anything in them."""

import pickle
from pathlib import Path
from typing import Any

from temporem.errors import UserError
from temporem.movies.table import existing_file, reason

__all__ = ["load_arrays"]

# All that a pickled numpy array names, before and after numpy 2 moved its core, and what protocol 2 wraps
# bytes in.
ADMITTED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
    *((core, "_reconstruct") for core in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((core, "_frombuffer") for core in ("numpy.core.numeric", "numpy._core.numeric")),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only numpy arrays are admitted")
        # numpy keeps its old module names, but warns of them.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_arrays(path: Path) -> Any:
    """Load a pickle of numpy arrays and plain containers of them.

    Raises UserError where the file is missing, is no pickle, or holds anything else.
    """
    with existing_file(path).open("rb") as file:
        try:
            return _ArrayUnpickler(file).load()
        except Exception as error:  # a corrupt pickle can raise anything
            raise UserError(
                f"{path} could not be read as a pickle of arrays: {reason(error)}; give the file that "
                "cryoDRGN wrote."
            ) from None

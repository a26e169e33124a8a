"""Which code computes: results of other code are not taken for this one's."""

import hashlib
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["code_digest"]

DRAWING = ("experiments", "report")
"""Rooms that no computing room imports: they choose what is computed, and show what was."""


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 of the package's modules, but for those that only draw."""
    return digest_of(files("temporem"))


def digest_of(package: Traversable) -> str:
    """SHA-256 of the names and contents of a package's modules."""
    found = hashlib.sha256()
    for name, module in sorted(_modules(package, "").items()):
        content = hashlib.sha256(module.read_bytes()).hexdigest()
        found.update(f"{name} {content}\n".encode())
    return found.hexdigest()


def _modules(folder: Traversable, path: str) -> dict[str, Traversable]:
    modules: dict[str, Traversable] = {}
    for entry in folder.iterdir():
        name = path + entry.name
        if entry.is_dir() and name not in DRAWING:
            modules |= _modules(entry, f"{name}/")
        elif entry.name.endswith(".py"):
            modules[name] = entry
    return modules

"""Entries of the wwPDB, downloaded once and kept with their checksum."""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from temporem.errors import UserError
from temporem.files import replacing, write_text
from temporem.progress import console

__all__ = ["UnavailableError", "default_cache", "download_structure", "first_available", "is_pdb_id"]

ADDRESS = "https://files.wwpdb.org/download/{}.cif.gz"
TIMEOUT_IN_SECONDS = 60


class UnavailableError(UserError):
    """An entry that the wwPDB does not give now: unknown, or out of reach."""


def is_pdb_id(text: str) -> bool:
    """Say whether `text` looks like a PDB id: a digit, then three letters or digits."""
    return re.fullmatch(r"[0-9][A-Za-z0-9]{3}", text) is not None


def default_cache() -> Path:
    """Return the user's cache folder: $XDG_CACHE_HOME/temporem or ~/.cache/temporem."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "temporem"


def download_structure(pdb_id: str, cache: Path | None = None) -> Path:
    """Return the path of an entry's mmCIF file in `cache`, downloading it the first time.

    The SHA-256 of what was downloaded is kept beside it and checked at each later use.

    Raises UnavailableError for an unknown entry and no network, UserError for a cached file that has changed.
    """
    name = pdb_id.lower()
    path = (cache or default_cache()) / f"{name}.cif.gz"
    checksum = path.with_suffix(".gz.sha256")
    if path.exists() and checksum.exists():
        if hashlib.sha256(path.read_bytes()).hexdigest() != checksum.read_text().split()[0]:
            raise UserError(f"{path} has changed since it was downloaded: delete it and run again.")
        return path
    address = ADDRESS.format(name)
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_IN_SECONDS) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise UnavailableError(
                f"The wwPDB has no entry {pdb_id}: check the id, or give a file."
            ) from None
        raise UnavailableError(
            f"The wwPDB answered {error.code} for {pdb_id}: try again later, or give a file."
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            f"PDB entry {pdb_id} could not be downloaded from {address} ({error}): connect to the network, "
            "or give the path of a PDB or mmCIF file."
        ) from None
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    write_text(checksum, f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    return path


def first_available(source: str, cache: Path | None = None) -> str:
    """Of several PDB ids with blanks between them ("4cmq 4cmp"), return the first to be had, and say which.

    An entry is to be had where there is a file of its name, or `download_structure` gives it. What is one id,
    or a file, is returned as it is.

    Raises UnavailableError where there is none, UserError for a cached file of any of them that has changed.
    """
    ids = source.split()
    if len(ids) < 2 or not all(map(is_pdb_id, ids)) or Path(source).exists():
        return source
    *preferred, last = ids
    problem = ""
    for pdb_id in preferred:
        try:
            return _taken(pdb_id, cache, problem)
        except UnavailableError as error:
            problem = problem or f", which stands in for {pdb_id.upper()}: {error}"
    return _taken(last, cache, problem)


def _taken(pdb_id: str, cache: Path | None, why: str) -> str:
    if not Path(pdb_id).exists():
        download_structure(pdb_id, cache)
    said = f"Using PDB entry {pdb_id.upper()}{why or '.'}"
    console.print(said, highlight=False, markup=False, soft_wrap=True)
    return pdb_id

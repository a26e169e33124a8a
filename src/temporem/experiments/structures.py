"""Where the structures behind the data sets come from: files of one's own, or the wwPDB."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from temporem.errors import UserError
from temporem.simulation.downloads import UnavailableError, download_structure, first_available

__all__ = ["Structures"]

SUFFIXES = (".pdb", ".pdb.gz", ".cif", ".cif.gz", ".ent", ".ent.gz")


@dataclass(frozen=True)
class Structures:
    """Finds structures by PDB id: in a folder, if one is given, else in the wwPDB."""

    folder: Path | None = None

    def find(self, pdb_ids: str) -> tuple[str, str]:
        """Path of a structure's file, and the SHA-256 of what is in it.

        Of several ids with blanks between them the first that can be had counts. In the folder it is the
        file whose name begins with the id, in whatever case.

        Raises UserError where there is none, or several of one id.
        """
        path = _downloaded(pdb_ids) if self.folder is None else self._in_folder(self.folder, pdb_ids)
        return str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest()

    def _in_folder(self, folder: Path, pdb_ids: str) -> Path:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give one with the structures' files.")
        for pdb_id in pdb_ids.split():
            found = sorted(
                x
                for x in folder.iterdir()
                if x.name.lower().startswith(pdb_id.lower()) and x.name.lower().endswith(SUFFIXES)
            )
            if len(found) == 1:
                return found[0]
            if found:
                break
        names = ", ".join(x.name for x in found) or "none"
        raise UserError(
            f"{folder} must hold one file whose name begins with {pdb_id} and ends with "
            f"{' or '.join(SUFFIXES[:4])}, but holds {names}: put it there, or leave out --structures."
        )


@cache
def _downloaded(pdb_ids: str) -> Path:
    """Once for all data sets: asking again may take long, and would be said again."""
    try:
        return download_structure(first_available(pdb_ids))
    except UnavailableError as error:
        raise UserError(f"{error} A folder that holds the file can be given with --structures.") from None

"""RELION's STAR files, 3.0 and 3.1, as one table with the optics groups' values in every row."""

import re
from pathlib import Path
from typing import cast

from gemmi import cif

from temporem.errors import UserError
from temporem.movies.table import Table, existing_file, read_csv, reason

__all__ = ["TABLE_SUFFIXES", "read_star", "read_table"]

TABLE_SUFFIXES = (".star", ".csv")
OPTICS_GROUP = "rlnOpticsGroup"


def read_table(path: Path) -> Table:
    """Read a .star, or a .csv with RELION's column names.

    Raises UserError as `read_star` and `read_csv` do.
    """
    return read_csv(path) if path.suffix.lower() == ".csv" else read_star(path)


def read_star(path: Path) -> Table:
    """Read the particles of a STAR file.

    RELION 3.1 and later: the table `data_particles`, with the columns of `data_optics` merged in by
    `rlnOpticsGroup`, as https://relion.readthedocs.io/en/latest/Reference/Conventions.html describes. RELION
    3.0: its only table.

    Raises UserError where the file is missing, is not STAR, has no such table or an unknown optics group.
    """
    # gemmi follows STAR's rules of quoting and names the line of an error; starfile takes ' for " and # for a
    # comment inside words.
    try:
        document = cif.read_string(existing_file(path).read_bytes().decode("utf-8"))
    except (ValueError, RuntimeError) as error:
        # gemmi calls a string's place string:line:column(byte).
        what = re.sub(r"^string:(\d+):\d+\(\d+\): ", r"line \1: ", reason(error))
        raise UserError(f"{path} is not a STAR file: {what}; correct it, or give another.") from None
    blocks = {block.name.strip(): block for block in document}
    if "particles" in blocks:
        particles = _columns(blocks["particles"])
    elif len(blocks) == 1:
        particles = _columns(next(iter(blocks.values())))
    else:
        found = ", ".join(f"data_{name}" for name in blocks) or "none"
        raise UserError(
            f"{path} has no table data_particles (tables found: {found}); give a particles STAR file."
        )
    if not particles or not next(iter(particles.values())):
        raise UserError(f"{path} lists no images; its particles table is empty, so give another.")
    if "optics" in blocks and "particles" in blocks:
        particles |= _optics(path, particles, _columns(blocks["optics"]))
    return Table(str(path), particles)


def _columns(block: cif.Block) -> dict[str, list[str]]:
    """Columns of the block's first loop, or its pairs as columns of one row."""
    for item in block:
        if item.loop is not None:
            names = [tag.removeprefix("_") for tag in item.loop.tags]
            values = [cif.as_string(value) for value in item.loop.values]
            return {name: values[i :: len(names)] for i, name in enumerate(names)}
    pairs = [cast(tuple[str, str], item.pair) for item in block if item.pair is not None]
    return {tag.removeprefix("_"): [cif.as_string(value)] for tag, value in pairs}


def _optics(
    path: Path, particles: dict[str, list[str]], optics: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Columns of the optics table that the particles lack, one value per particle."""
    if OPTICS_GROUP not in optics or OPTICS_GROUP not in particles:
        raise UserError(
            f"{path} has data_optics, but {OPTICS_GROUP} is not in both of its tables; add it where it is "
            "missing."
        )
    index = {group: i for i, group in enumerate(optics[OPTICS_GROUP])}
    for row, group in enumerate(particles[OPTICS_GROUP]):
        if group not in index:
            raise UserError(
                f"{path} row {row} is of optics group {group}, which data_optics does not have; add the "
                "group there, or correct the row."
            )
    rows = [index[group] for group in particles[OPTICS_GROUP]]
    return {name: [values[i] for i in rows] for name, values in optics.items() if name not in particles}

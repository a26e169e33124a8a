"""Selected images with their latent states, as files that point at the original particles.

- `particles.star`: the input's own rows, every column as it was but for poses that the run found, for a run
  made from STAR, else the run's poses and CTF; images by absolute path. RELION, cryoSPARC's import and
  `cryodrgn parse_pose_star` read it.
- `particles.cs`: the input's own records, likewise, for a run made from .cs.
- `latents.csv`: the latents of these rows.
- `rows.txt`: rows of the input from 0, for `temporem volumes --index-file` and programs that take indices.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from gemmi import cif

from temporem.errors import UserError
from temporem.files import replacing, write_text
from temporem.movies.cryosparc import with_poses
from temporem.movies.images import StackImages
from temporem.movies.movie_columns import FRAME_COLUMN
from temporem.movies.reading import require_poses
from temporem.reconstruction.run import Run

__all__ = ["export_particles"]

IMAGE, ANGLE = "rlnImageName", "rlnAngleRot"
MOVIE = "rlnTomoParticleName"
ORIGINS_IN_PIXELS = ("rlnOriginX", "rlnOriginY")
POSE_COLUMNS = (ANGLE, "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")


def export_particles(run: Run, output: Path, rows: Sequence[int]) -> list[Path]:
    """Write the files of these rows into the folder `output`, and return them.

    The STAR file has beside its own columns `temporemLatent1 …` and `temporemLatentSd1 …`, which other
    programs pass over.

    Raises UserError where `output` holds such files already, or the run's input has gone or changed.
    """
    names = ("particles.star", "particles.cs", "latents.csv", "rows.txt")
    taken = [name for name in names if (output / name).exists()]
    if taken:
        raise UserError(f"{output} already holds {taken[0]}: choose another folder.")
    source = Path(run.configured("input"))
    latents = run.latents().set_index("image").loc[list(rows)]
    paths = [output / "particles.star"]
    write_text(paths[0], _star(run, source, list(rows), latents))
    if source.suffix.lower() == ".cs":
        paths.append(output / "particles.cs")
        records = np.load(source, allow_pickle=False)
        _same_length(source, len(records), run)
        if run.poses_found:
            records = _at_poses_of(run, records)
        # A handle, because numpy would append .npy to another suffix.
        with replacing(paths[-1]) as temporary, temporary.open("wb") as file:
            np.save(file, records[list(rows)], allow_pickle=False)
    paths.append(output / "latents.csv")
    with replacing(paths[-1]) as temporary:
        latents.reset_index().to_csv(temporary, index=False)
    paths.append(output / "rows.txt")
    write_text(paths[-1], "".join(f"{row}\n" for row in rows))
    return paths


def _star(run: Run, source: Path, rows: list[int], latents: pd.DataFrame) -> str:
    of_run = cif.read(str(run.poses_path))
    document = cif.read(str(source)) if source.suffix.lower() == ".star" else of_run
    loop = _particles(document)
    columns = _columns(loop)
    _same_length(source, len(next(iter(columns.values()))), run)
    if document is not of_run:
        posed = _columns(_particles(of_run))
        images = run.movies()[0].images
        if isinstance(images, StackImages):
            columns[IMAGE] = [cif.quote(images.name(row)) for row in range(len(images))]
        missing = POSE_COLUMNS if run.poses_found or ANGLE not in columns else ()
        if run.poses_found:
            # RELION 3.0 gives origins in pixels: they would contradict the new ones.
            columns = {name: values for name, values in columns.items() if name not in ORIGINS_IN_PIXELS}
        # The input does not know of movies that a table named.
        named = (MOVIE, FRAME_COLUMN) if run.configured("reading").get("movie_table") is not None else ()
        columns |= {name: posed[name] for name in (*missing, *named) if name in posed}
    columns = {name: [values[row] for row in rows] for name, values in columns.items()}
    for column in latents.columns:
        if column[0] == "z" or column.startswith("sd"):
            name = column.replace("sd", "temporemLatentSd").replace("z", "temporemLatent")
            columns[name] = [f"{x:.9g}" for x in latents[column]]
    loop.add_columns([f"_{name}" for name in columns if f"_{name}" not in loop.tags], "0")
    for tag in [tag for tag in loop.tags if tag.removeprefix("_") not in columns]:
        loop.remove_column(tag)
    order = [tag.removeprefix("_") for tag in loop.tags]
    loop.set_all_values([columns[name] for name in order])
    return document.as_string()


def _at_poses_of(run: Run, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """cryoSPARC's records at the poses that the run found."""
    movies = require_poses(run.movies()[0])
    if movies.rotation is None or movies.translation_in_angstroms is None:
        raise ValueError("poses were required")
    pixel_size = movies.pixel_size_in_angstroms
    return with_poses(records, movies.rotation, movies.translation_in_angstroms, pixel_size)


def _particles(document: cif.Document) -> cif.Loop:
    blocks = {block.name.strip(): block for block in document}
    block = blocks.get("particles", next(iter(blocks.values())))
    loop: cif.Loop = next(item.loop for item in block if item.loop is not None)
    return loop


def _columns(loop: cif.Loop) -> dict[str, list[str]]:
    """The loop's columns, quoted as they stand in the file."""
    values, width = list(loop.values), len(loop.tags)
    return {tag.removeprefix("_"): values[i::width] for i, tag in enumerate(loop.tags)}


def _same_length(source: Path, count: int, run: Run) -> None:
    if run.configured("reading").get("half") is not None:
        raise UserError(f"{run.path} is a run of half of the movies: export particles from the run of all.")
    if count != len(run.latents()):
        raise UserError(
            f"{source} has {count} images but the run {run.path} was made from {len(run.latents())}: the "
            "file has changed since, so its rows are not the run's."
        )

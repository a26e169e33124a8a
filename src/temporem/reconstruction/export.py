"""Volumes of a run as MRC files, and a script that plays a movie's series in ChimeraX."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from skimage.filters import threshold_otsu

from temporem.errors import UserError
from temporem.files import write_text
from temporem.progress import progress
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import write_volume

__all__ = ["export_volumes", "write_volume"]

SCRIPT = "play.cxc"


def export_volumes(
    run: Run, output: Path, movie: str | None = None, index_file: Path | None = None, device: str = "cpu"
) -> list[Path]:
    """Write one MRC per image row into `output`; return the files, whose names sort in the order asked for.

    The rows are a movie's frames in order of time, those of an index file (one image row, counted from 0,
    per line; repeats allowed), or every image of the run. A movie's series comes with `play.cxc`, which
    opens it in ChimeraX as a volume series and plays it at one contour level: the mean over the volumes of
    Otsu's threshold inside the solvent mask.

    Raises UserError for an unknown movie, a bad index file, rows out of range, and a folder that holds
    volumes already.
    """
    if movie is not None and index_file is not None:
        raise UserError("--movie and --index-file were both given: choose one of them.")
    if movie is not None:
        rows = movie_rows(run, movie)
    elif index_file is not None:
        rows = read_index_file(index_file)
    else:
        rows = run.latents()["image"].tolist()
    if any(output.glob("vol_*.mrc")):
        raise UserError(f"{output} already holds volumes (vol_*.mrc): choose another folder.")
    volumes = run.volumes(rows, device)
    inside = run.mask().numpy() > 0.5
    paths, levels = [], []
    with progress("Writing volumes", len(rows)) as advance:
        for position, (row, volume) in enumerate(volumes):
            paths.append(output / f"vol_{position:05d}_image_{row:06d}.mrc")
            write_volume(paths[-1], volume, run.pixel_size_in_angstroms)
            if movie is not None:
                levels.append(float(threshold_otsu(volume.numpy()[inside])))  # type: ignore[no-untyped-call]
            advance(1, "")
    if movie is not None:
        write_text(
            output / SCRIPT, chimerax_script(movie, [path.name for path in paths], float(np.mean(levels)))
        )
    return paths


def movie_rows(run: Run, movie: str) -> list[int]:
    """Image rows of a movie in order of time."""
    latents = run.latents()
    shown = latents[latents["movie"] == movie].sort_values("time", kind="stable")
    rows = [int(row) for row in shown["image"]]
    if not rows:
        known = latents["movie"].unique().tolist()
        near = difflib.get_close_matches(movie, known, n=3, cutoff=0.0)
        raise UserError(
            f"the run {run.path} has no movie {movie!r}: the nearest names are {', '.join(near)}."
        )
    return rows


def read_index_file(path: Path) -> list[int]:
    """Image rows of a text file, one on each line; empty lines are passed over."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the index file {path} cannot be read ({error}): give a text file.") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not (line.strip().isascii() and line.strip().isdigit()):
            raise UserError(
                f"line {number} of {path} is {line.strip()[:40]!r}: write an image row, from 0, on each line."
            )
        rows.append(int(line))
    if not rows:
        raise UserError(f"the index file {path} is empty: write one image row on each line, counted from 0.")
    return rows


def chimerax_script(movie: str, names: Sequence[str], level: float) -> str:
    """Commands that open the files, which lie beside the script, as one volume series and play it to and
    fro."""
    lines = (
        f"# The series of movie {' '.join(movie.split())}: open this file in ChimeraX",
        f"open {' '.join(names)} vseries true" if len(names) > 1 else f"open {names[0]}",
        f"volume #1 style surface step 1 level {level:.6g}",
        "view",
        *(["vseries play #1 loop true direction oscillate maxFrameRate 8"] if len(names) > 1 else []),
    )
    return "\n".join(lines) + "\n"

"""Which images of a run are meant: a movie's, those of an index file, or all."""

import difflib
from pathlib import Path

from temporem.errors import UserError
from temporem.movies.table import existing_file
from temporem.reconstruction.run import Run

__all__ = ["choose_rows", "movie_rows", "read_index_file"]


def choose_rows(run: Run, movie: str | None, index_file: Path | None) -> list[int]:
    """Image rows of a movie in order of time, those of an index file, or every image of the run.

    Raises UserError for an unknown movie, a bad index file, and where both are given.
    """
    if movie is not None and index_file is not None:
        raise UserError("--movie and --index-file were both given: choose one of them.")
    if movie is not None:
        return movie_rows(run, movie)
    if index_file is not None:
        return read_index_file(index_file)
    return [int(row) for row in run.latents()["image"]]


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
        lines = existing_file(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(
            f"the index file {path} is not text: write one image row on each line, counted from 0."
        ) from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not (line.strip().isascii() and line.strip().isdigit()):
            raise UserError(
                f"line {number} of {path} is {line.strip()[:40]!r}: write an image row, from 0, on each line."
            )
        rows.append(int(line.strip()))
    if not rows:
        raise UserError(f"the index file {path} is empty: write one image row on each line, counted from 0.")
    return rows

"""A selection of a run's images: by movie, by row, or by where their latent states lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from temporem.errors import UserError
from temporem.reconstruction.export.rows import movie_rows, read_index_file
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run

__all__ = ["select_rows"]


def select_rows(
    run: Run,
    movies: Sequence[str] = (),
    index_file: Path | None = None,
    latent: Sequence[tuple[str, float, float]] = (),
) -> list[int]:
    """Rows, in the input's order, that meet every condition given; all rows where none is given.

    `movies`: of any of these. `index_file`: listed in it. `latent`: for each (name, low, high), the latent of
    that name lies between the bounds, both included.

    Raises UserError for an unknown movie, row or latent, bounds the wrong way round, and where nothing is
    left.
    """
    table = run.latents().set_index("image").sort_index()
    chosen = np.ones(len(table), dtype=bool)
    if movies:
        chosen &= table.index.isin([row for movie in movies for row in movie_rows(run, movie)])
    if index_file is not None:
        listed = read_index_file(index_file)
        unknown = [row for row in listed if row not in table.index]
        if unknown:
            raise UserError(f"{index_file} lists image {unknown[0]}, which the run {run.path} does not have.")
        chosen &= table.index.isin(listed)
    for name, low, high in latent:
        if name not in latent_columns(table):
            raise UserError(f"the run has no latent {name!r}: it has {', '.join(latent_columns(table))}.")
        if not low <= high:
            raise UserError(f"--latent {name} {low:g} {high:g} holds nothing: give the lower bound first.")
        chosen &= table[name].between(low, high).to_numpy()
    if not chosen.any():
        raise UserError("no image meets all the conditions given: widen them.")
    return [int(row) for row in table.index[chosen]]

"""The latents of all movies on one grid of frames, with what is missing marked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from temporem.errors import UserError
from temporem.reconstruction.latents_file import latent_columns

__all__ = ["LatentTrajectories", "principal_trajectories"]

FloatArray = npt.NDArray[np.float64]
MOST_AXES = 3
VARIANCE_KEPT = 0.9
MOST_GRID_POINTS_PER_FRAME = 50


@dataclass(frozen=True, eq=False)
class LatentTrajectories:
    """Ragged movies as one array: steps past a movie's end, and missing frames, are not `seen`."""

    values: FloatArray
    """(movies, steps, dimensions), 0 where not seen."""
    seen: npt.NDArray[np.bool_]
    """(movies, steps)."""
    interval: float
    """Time from one step to the next, in `unit`."""
    unit: str
    movie_ids: tuple[str, ...]
    images: npt.NDArray[np.int64]
    """(movies, steps): row of the input, −1 where not seen."""

    @property
    def length(self) -> npt.NDArray[np.int64]:
        """Steps of each movie, from its first frame to its last."""
        return np.asarray(self.seen.shape[1] - np.argmax(self.seen[:, ::-1], axis=1), np.int64)

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        """(movies, steps): up to the movie's last frame."""
        within: npt.NDArray[np.bool_] = np.arange(self.seen.shape[1]) < self.length[:, None]
        return within

    def of(self, movies: Sequence[int] | npt.NDArray[np.integer]) -> "LatentTrajectories":
        """These movies only."""
        rows = np.asarray(movies)
        ids = tuple(self.movie_ids[i] for i in rows)
        return LatentTrajectories(
            self.values[rows], self.seen[rows], self.interval, self.unit, ids, self.images[rows]
        )


def principal_trajectories(latents: pd.DataFrame, unit: str) -> LatentTrajectories:
    """The principal axes of the latents that hold 90 % of their variance, three at most, on a grid of frames.

    More axes would give states more parameters than movies can tell. `unit` is that of the column time. The
    grid is that of the frame numbers, its interval the median time per frame number.

    Raises UserError where frame numbers leap so far that the grid would be mostly holes.
    """
    table = latents.sort_values(["movie", "frame"], kind="stable")
    z = table[latent_columns(latents)].to_numpy(np.float64)
    centred = z - z.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    share = np.cumsum(spread**2) / max(float((spread**2).sum()), 1e-300)
    count = min(int(np.searchsorted(share, VARIANCE_KEPT)) + 1, MOST_AXES, len(axes))
    places = centred @ axes[:count].T
    ids, movie = np.unique(table["movie"].to_numpy(str), return_inverse=True)
    frame = table["frame"].to_numpy(np.int64)
    step = frame - table.groupby("movie")["frame"].transform("min").to_numpy(np.int64)
    steps = int(step.max()) + 1
    if steps * len(ids) > MOST_GRID_POINTS_PER_FRAME * len(table):
        raise UserError(
            f"the frame numbers of movie {ids[movie[int(step.argmax())]]!r} span {steps} frames, nearly all "
            "missing: kinetics need movies whose frame numbers count frames."
        )
    values = np.zeros((len(ids), steps, count))
    seen = np.zeros((len(ids), steps), dtype=bool)
    images = np.full((len(ids), steps), -1, dtype=np.int64)
    values[movie, step], seen[movie, step] = places, True
    images[movie, step] = table["image"].to_numpy(np.int64)
    same = np.diff(movie) == 0
    time = table["time"].to_numpy(np.float64)
    interval = float(np.median(np.diff(time)[same] / np.diff(frame)[same])) if same.any() else 1.0
    return LatentTrajectories(values, seen, interval, unit, tuple(map(str, ids)), images)

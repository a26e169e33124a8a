"""Which movie each image belongs to, which frame of it it is, and when it was taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.table import Table

__all__ = [
    "FRAME_COLUMN",
    "TIME_COLUMN",
    "MovieAssignment",
    "assign_movies",
    "movies_from_columns",
    "particle_column",
]

PARTICLE_COLUMNS = ("rlnTomoParticleName", "rlnParticleName", "rlnGroupName")
MOVIE_COLUMNS = (*PARTICLE_COLUMNS, "rlnMicrographName")
FRAME_COLUMN = "rlnMicrographFrameNumber"
TIME_COLUMN = "temporemTimeSeconds"


@dataclass(frozen=True)
class MovieAssignment:
    """The part of a MovieSet that orders its images into movies, one entry per image."""

    movie_ids: tuple[str, ...]
    movie: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    time_unit: Literal["frames", "seconds"]
    provenance: dict[str, str]


def particle_column(table: Table) -> str | None:
    """Return the first column present that names particles, each of which is one movie."""
    return next((name for name in PARTICLE_COLUMNS if name in table), None)


def movies_from_columns(table: Table, options: ReadingOptions) -> MovieAssignment:
    """Group a table's rows by the first movie column present, in order of the frame column or the file.

    The columns tried are rlnTomoParticleName, rlnParticleName, rlnGroupName and rlnMicrographName, for frames
    rlnMicrographFrameNumber, for times temporemTimeSeconds; `options` names others.

    Raises UserError where there is none, or as `assign_movies` does.
    """
    movie_column = options.movie_column or next((name for name in MOVIE_COLUMNS if name in table), None)
    if movie_column is None:
        raise UserError(
            f"{table.source} does not say which movie an image belongs to (it has none of "
            f"{', '.join(MOVIE_COLUMNS)}); name the column with --movie-column or give a --movie-table."
        )
    frame_column = options.frame_column or (FRAME_COLUMN if FRAME_COLUMN in table else None)
    time_column = TIME_COLUMN if TIME_COLUMN in table and options.frame_interval is None else None
    return assign_movies(
        table.source,
        table.text(movie_column),
        frame=None if frame_column is None else table.whole_numbers(frame_column),
        time_in_seconds=None if time_column is None else table.numbers(time_column),
        frame_interval_in_seconds=options.frame_interval,
        movie_words=f"column {movie_column}",
        frame_words=None if frame_column is None else f"column {frame_column}",
        time_words=f"column {time_column}",
    )


def assign_movies(
    source: str,
    ids: Sequence[str],
    *,
    frame: npt.NDArray[np.int64] | None,
    time_in_seconds: npt.NDArray[np.float64] | None,
    frame_interval_in_seconds: float | None,
    movie_words: str,
    frame_words: str | None,
    time_words: str,
) -> MovieAssignment:
    """Check and number the movies; without frame numbers, frames follow the times, else the file.

    The words say in messages and provenance where each came from.

    Raises UserError for an empty id, a frame number or time repeated within a movie, times that run against
    the frame numbers, and a movie of one frame.
    """
    movie_of_id: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name or not name.isprintable():
            raise UserError(
                f"{source} row {row}, {movie_words}: {name!r} cannot name a movie; write another name "
                "there, or choose another --movie-column."
            )
        movie_of_id.setdefault(name, len(movie_of_id))
    movie = np.array([movie_of_id[name] for name in ids], dtype=np.int64)
    if frame is None:
        frame = _rank(
            movie, np.arange(len(movie), dtype=np.float64) if time_in_seconds is None else time_in_seconds
        )
        frame_words = "order of the file" if time_in_seconds is None else f"order of {time_words}"
    if time_in_seconds is not None:
        time, words = time_in_seconds, f"{time_words}, seconds"
    elif frame_interval_in_seconds is not None:
        time = frame.astype(np.float64) * frame_interval_in_seconds
        words = f"frame number times {frame_interval_in_seconds:g} s (--frame-interval)"
    else:
        time, words = frame.astype(np.float64), "frame number"
    names = tuple(movie_of_id)
    _check_order(source, names, movie, frame, time, movie_words)
    provenance = {"movies": movie_words, "frames": frame_words or "", "time": words}
    in_frames = time_in_seconds is None and frame_interval_in_seconds is None
    unit: Literal["frames", "seconds"] = "frames" if in_frames else "seconds"
    return MovieAssignment(names, movie, frame, time, unit, provenance)


def _rank(movie: npt.NDArray[np.int64], key: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Position of each row within its movie, in order of `key`."""
    order = np.lexsort((key, movie))
    starts = np.searchsorted(movie[order], movie[order])
    rank = np.empty(len(movie), dtype=np.int64)
    rank[order] = np.arange(len(movie)) - starts
    return rank


def _check_order(
    source: str,
    names: tuple[str, ...],
    movie: npt.NDArray[np.int64],
    frame: npt.NDArray[np.int64],
    time: npt.NDArray[np.float64],
    movie_words: str,
) -> None:
    order = np.lexsort((frame, movie))
    same_movie = np.diff(movie[order]) == 0
    repeated = np.flatnonzero(same_movie & (np.diff(frame[order]) == 0))
    if len(repeated):
        one, other = order[repeated[0]], order[repeated[0] + 1]
        raise UserError(
            f"{source}, {movie_words}: rows {one} and {other} are both frame {frame[one]} of "
            f"{names[movie[one]]!r}, so it merges several particles into one movie; name another column with "
            "--movie-column or give a --movie-table."
        )
    backwards = np.flatnonzero(same_movie & (np.diff(time[order]) <= 0))
    if len(backwards):
        one, other = order[backwards[0]], order[backwards[0] + 1]
        raise UserError(
            f"{source}: movie {names[movie[one]]!r} has frame {frame[one]} at time {time[one]:g} and frame "
            f"{frame[other]} at time {time[other]:g}; times must rise with the frame number, so correct one "
            "of them."
        )
    counts = np.bincount(movie, minlength=len(names))
    if counts.min() < 2:
        name = names[int(counts.argmin())]
        raise UserError(
            f"{source}, {movie_words}: movie {name!r} has one frame (as have {int((counts == 1).sum())} of "
            f"{len(names)} movies), and a movie needs two or more; remove it, or say with --movie-column or "
            "--movie-table which movie each image is of."
        )

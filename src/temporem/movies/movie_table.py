"""A CSV file that says which movie and frame every image is, for formats that carry no movies."""

from pathlib import Path

import numpy as np

from temporem.errors import UserError
from temporem.movies.movie_columns import MovieAssignment, assign_movies
from temporem.movies.table import Table, read_csv

__all__ = ["read_movie_table"]

IMAGE, MOVIE, FRAME, TIME = "image", "movie", "frame", "time"
# What to do about a missing column.
NAME_BOTH = f"name {IMAGE} and {MOVIE} in its first line"


def read_movie_table(
    path: Path, number_of_images: int, frame_interval_in_seconds: float | None
) -> MovieAssignment:
    """Read the columns image (row of the input, from 0), movie, and frame or time (seconds) or both.

    Without frame and time, the table's order is the frames'. Rows may come in any order.

    Raises UserError where an image is missing, listed twice, or not in the input, and as `assign_movies`
    does.
    """
    table = read_csv(path)
    image = table.whole_numbers(IMAGE, NAME_BOTH)
    _check_images(table, image, number_of_images)
    if TIME in table and frame_interval_in_seconds is not None:
        raise UserError(
            f"{path} has a column {TIME} and --frame-interval is given too; leave one of them out."
        )
    listed = assign_movies(
        str(path),
        table.text(MOVIE, NAME_BOTH),
        frame=table.whole_numbers(FRAME) if FRAME in table else None,
        time_in_seconds=table.numbers(TIME) if TIME in table else None,
        frame_interval_in_seconds=frame_interval_in_seconds,
        movie_words=f"column {MOVIE}",
        frame_words=f"column {FRAME}",
        time_words=f"column {TIME}",
    )
    row_of_image = np.argsort(image)
    provenance = {
        name: words if words.startswith("frame number") else f"{path}, {words}"
        for name, words in listed.provenance.items()
    }
    return MovieAssignment(
        listed.movie_ids,
        listed.movie[row_of_image],
        listed.frame[row_of_image],
        listed.time[row_of_image],
        listed.time_unit,
        provenance,
    )


def _check_images(table: Table, image: np.ndarray[tuple[int], np.dtype[np.int64]], count: int) -> None:
    outside = np.flatnonzero((image < 0) | (image >= count))
    if len(outside):
        row = int(outside[0])
        raise UserError(
            f"{table.source} row {row} is about image {image[row]}, but the input has images 0 to "
            f"{count - 1}; count its rows from 0."
        )
    times_listed = np.bincount(image, minlength=count)
    for wrong, words in ((times_listed == 0, "does not list"), (times_listed > 1, "lists more than once")):
        if wrong.any():
            raise UserError(
                f"{table.source} {words} image {int(wrong.argmax())} ({int(wrong.sum())} of {count} images "
                "in all); it needs one row for each."
            )

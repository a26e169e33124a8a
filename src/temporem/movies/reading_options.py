"""What a user may say about the input beyond its path."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from temporem.errors import UserError

__all__ = ["ReadingOptions"]


@dataclass(frozen=True)
class ReadingOptions:
    """How to read the movies; whatever is None comes from the files.

    Raises UserError for a pixel size or frame interval that is not a positive number.
    """

    movie_column: str | None = None
    """Column that says which movie an image belongs to."""
    frame_column: str | None = None
    """Column with each image's frame number within its movie."""
    movie_table: Path | None = None
    """CSV file with columns image (row of the input, from 0), movie, and frame or time (seconds)."""
    frame_interval: float | None = None
    """Seconds from one frame number to the next."""
    pixel_size: float | None = None
    """Pixel size in Å; overrides what the files say, except where they give images different ones."""
    poses: Annotated[Path | None, arg(name="pose-file")] = None
    """Poses of the images, in their order: cryoDRGN's .pkl, or a .star or .csv with RELION's columns."""
    ctf: Path | None = None
    """CTF of the images, in their order: cryoDRGN's .pkl, or a .star or .csv with RELION's columns."""
    null: Literal["shuffle"] | None = None
    """shuffle: the frames of every movie in random order. A null: what a run finds all the same, it did not
    learn from the order of the frames."""
    null_seed: int = 0
    """Of that random order."""
    half: Literal["first", "second"] | None = None
    """Take every second movie only, from the first or from the second on, as temporem halves does."""

    def __post_init__(self) -> None:
        for name, value, unit in (
            ("pixel-size", self.pixel_size, "Å"),
            ("frame-interval", self.frame_interval, "seconds"),
        ):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"--{name} is {value:g}; give a positive number of {unit}.")
        if self.null_seed < 0:
            raise UserError(f"--null-seed is {self.null_seed}; give a number from 0 on.")

"""What every format's reader hands over, before movie tables and options are applied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from temporem.errors import UserError
from temporem.movies.images import StackImages
from temporem.movies.movie_columns import MovieAssignment
from temporem.physics.ctf import ContrastTransfer

__all__ = ["Poses", "Source", "no_poses"]


@dataclass(frozen=True)
class Poses:
    """Rotations A (images, 3, 3) and translations t (images, 2) in Å: a point p lands at A·p + t."""

    rotation: npt.NDArray[np.float64]
    translation_in_angstroms: npt.NDArray[np.float64]
    words: str
    """Where they came from."""

    def __len__(self) -> int:
        return len(self.rotation)


def no_poses(pixel_size_in_angstroms: float) -> None:
    """Poses of a format that has none."""


@dataclass(frozen=True)
class Source:
    """Images and what a format says of them, one entry per image."""

    words: str
    images: StackImages
    movies: Callable[[], MovieAssignment]
    """Called only where no movie table is given, so that a format without movies can say so."""
    pixel_sizes: Sequence[tuple[str, float]] = ()
    """What the metadata states, in words and Å."""
    poses: Callable[[float], Poses | None] = no_poses
    """From the pixel size in Å, which shifts in pixels need."""
    contrast_transfer: ContrastTransfer | None = None
    contrast_transfer_words: str = ""
    """Where the CTF came from, if not from the source itself."""
    dose: npt.NDArray[np.float64] | None = None
    notes: dict[str, str] = field(default_factory=dict)
    """Further provenance."""

    def __post_init__(self) -> None:
        for name in ("contrast_transfer", "dose"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.images):
                words = name.replace("_", " ")
                raise UserError(
                    f"{self.words} has {words} for {len(value)} images but there are {len(self.images)}."
                )

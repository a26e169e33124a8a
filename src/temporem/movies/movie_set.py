"""What was seen: movies of different lengths, each frame with what is known of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from temporem.physics.ctf import ContrastTransfer

__all__ = ["Images", "MovieSet"]

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


@runtime_checkable
class Images(Protocol):
    """Square images on disk; only the rows asked for are read."""

    @property
    def box_size(self) -> int:
        """Pixels along one edge."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """Images (rows, y, x) as stored, as float32."""
        ...


@dataclass(frozen=True)
class PartOfImages:
    """Some rows of images, counted anew."""

    images: Images
    rows: IntArray

    @property
    def box_size(self) -> int:
        """Pixels along one edge."""
        return self.images.box_size

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """Images (rows, y, x) as stored, as float32."""
        return self.images.read(self.rows[rows])


@dataclass(frozen=True)
class MovieSet:
    """Frames in the order of the input's rows, and the movies they belong to.

    Every per-frame array has one entry per image. Rotations A are (frames, 3, 3) with a point p of the
    molecule landing at A·p + t, and translations t (frames, 2) are (x, y) in Å: RELION's
    `rlnOriginX/YAngst` = −t.
    """

    images: Images
    pixel_size_in_angstroms: float
    movie_ids: tuple[str, ...]
    movie: IntArray
    """Index into `movie_ids` of each frame."""
    frame: IntArray
    """Frame index within its movie; gaps are missing frames."""
    time: FloatArray
    """Time of each frame, in `time_unit`."""
    time_unit: Literal["frames", "seconds"] = "frames"
    rotation: FloatArray | None = None
    translation_in_angstroms: FloatArray | None = None
    contrast_transfer: ContrastTransfer | None = None
    """None where the images carry no CTF."""
    dose: FloatArray | None = None
    """Electrons per square Å, accumulated up to each frame."""
    provenance: dict[str, str] = field(default_factory=dict)
    """What was taken from where, in words for people: file, movie column, frame column, time, poses, CTF."""

    def __len__(self) -> int:
        return len(self.movie)

    def rows_by_movie(self) -> Iterator[tuple[str, IntArray]]:
        """Each movie's id and its rows, in order of time."""
        order = np.lexsort((self.time, self.movie))
        starts = np.searchsorted(self.movie[order], np.arange(len(self.movie_ids) + 1))
        for index, movie_id in enumerate(self.movie_ids):
            yield movie_id, order[starts[index] : starts[index + 1]]

    def shuffled(self, seed: int) -> "MovieSet":
        """Frames with their order permuted at random within each movie: the null for the value of time."""
        generator = np.random.default_rng(seed)
        frame, time = self.frame.copy(), self.time.copy()
        for _, rows in self.rows_by_movie():
            permuted = generator.permutation(rows)
            frame[rows], time[rows] = self.frame[permuted], self.time[permuted]
        return replace(self, frame=frame, time=time, provenance=dict(self.provenance))

    def only(self, movies: Sequence[int]) -> "MovieSet":
        """These movies alone, by index; rows and movies are counted anew, in the order of the input."""
        kept = sorted(set(movies))
        rows = np.flatnonzero(np.isin(self.movie, kept))
        rotation, translation, dose = (
            None if values is None else values[rows]
            for values in (self.rotation, self.translation_in_angstroms, self.dose)
        )
        optics = self.contrast_transfer
        return replace(
            self,
            images=PartOfImages(self.images, rows),
            movie_ids=tuple(self.movie_ids[index] for index in kept),
            movie=np.searchsorted(kept, self.movie[rows]),
            frame=self.frame[rows],
            time=self.time[rows],
            rotation=rotation,
            translation_in_angstroms=translation,
            contrast_transfer=None if optics is None else optics[torch.from_numpy(rows)],
            dose=dose,
            provenance=dict(self.provenance),
        )

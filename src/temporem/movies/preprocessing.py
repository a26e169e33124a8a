"""From images as stored to the Fourier coefficients a model is fitted to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from temporem.errors import UserError
from temporem.files import room_for
from temporem.movies.movie_set import MovieSet
from temporem.movies.noise import CornerNoise, windowed_noise_variance
from temporem.movies.normalising import read_normalised
from temporem.movies.sign import SignEvidence
from temporem.movies.window import circular_window, outside_circle
from temporem.physics.lattice import HalfDisc, half_disc

__all__ = ["PreparedFrames", "PreprocessingOptions", "prepare_frames", "translation_in_pixels"]

PIXELS_PER_CHUNK = 2**21
EDGE = 0.08
"""Width of the window's soft edge as a fraction of the box."""
FEWEST_NOISE_PIXELS = 32
SMALLEST_BOX = 16
"""In pixels; fewer leave nothing to tell a shape by."""


@dataclass(frozen=True)
class PreprocessingOptions:
    """What is done to the images before anything is fitted."""

    box: int | None = None
    """Fourier-crop the images to this even box; the pixels grow, the field of view stays."""
    sign: Literal["auto", "bright", "dark"] = "auto"
    """Whether the particle is bright or dark in the images given; auto finds out."""
    particle_radius_in_angstroms: float | None = None
    """The particle lies within this radius; beyond it is noise. None takes half the box."""
    normalise: bool = True
    """Bring each image to mean 0 and standard deviation 1 of the noise outside the particle's radius."""


@dataclass(frozen=True, eq=False)
class PreparedFrames:
    """Coefficients of the frames: prepared = sign · (image − offset) / scale, windowed.

    `image` is the image given, Fourier-cropped with its gray values kept. A volume V of the cropped box that
    was fitted to these coefficients therefore shows the images' gray values as `image_scale` · V: the plain
    sum of its voxels along the beam, with the CTF, is the cropped image less its background, but for the
    sign, which leaves protein positive.
    """

    half_disc: HalfDisc
    pixel_size_in_angstroms: float
    """After cropping."""
    coefficients: npt.NDArray[np.complex64]
    """(frames, coefficients), orthonormal, in the half-disc's order; a memory map of a temporary file where
    large."""
    noise_variance: npt.NDArray[np.float32]
    """(shells,): E|N|² of one coefficient of the windowed noise."""
    window_mean_square: float
    """Share of white noise that the window lets through; noise_variance over it is about the noise's power
    before windowing, which is the variance that weighs the signal inside the window rightly."""
    scale: npt.NDArray[np.float32]
    """(frames,): standard deviation of the noise outside the radius, in gray values."""
    offset: npt.NDArray[np.float32]
    """(frames,): mean outside the radius, in gray values."""
    sign: int
    """+1 where the particle was bright in the images given, −1 where dark."""
    sign_note: str
    """How the sign was found, in words for people."""
    signal_power: npt.NDArray[np.float32]
    """(shells,): mean |X|² − noise_variance; below zero where the noise hides the signal."""
    radius_in_angstroms: float
    """Of the particle's circle."""

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def box_size(self) -> int:
        """After cropping."""
        return self.half_disc.box_size

    @property
    def image_scale(self) -> float:
        """Gray values of the images per unit of a fitted volume: the median of `scale`."""
        return float(np.median(self.scale))


def _silent(count: int, note: str) -> None:
    pass


def prepare_frames(
    movies: MovieSet,
    options: PreprocessingOptions,
    advance: Callable[[int, str], None] = _silent,
) -> PreparedFrames:
    """Crop, normalise, window and transform every image, and find the noise's power and the particle's sign.

    The images are read once, in chunks; `advance` is told how many more are done.

    Raises UserError for a box or radius that does not fit the images, and for a constant or non-finite image.
    """
    box, pixel_size = _cropped(movies, options.box)
    radius = _radius_in_pixels(options, box, pixel_size)
    outside, window = outside_circle(box, radius), circular_window(box, radius, EDGE * box)
    corners = CornerNoise(outside_circle(box, max(radius, box / 2)))
    disc = half_disc(box)
    coefficients = room_for((len(movies), len(disc)), np.complex64)
    scale, offset = (np.empty(len(movies), dtype=np.float32) for _ in range(2))
    power = torch.zeros(disc.radius + 1, dtype=torch.float64)
    evidence = SignEvidence(movies, disc, pixel_size, radius)
    for rows in _chunks(len(movies), movies.images.box_size):
        images, mean, deviation = read_normalised(movies, rows, box, outside, options.normalise)
        corners.add(images)
        chunk = disc.from_images(images * window)
        evidence.add(rows, chunk)
        power.index_add_(0, disc.shell, chunk.abs().square().sum(dim=0).double())
        coefficients[rows] = chunk.numpy()
        scale[rows], offset[rows] = deviation.numpy(), mean.numpy()
        advance(len(rows), "")
    sign, note = evidence.decide(options.sign)
    if sign < 0:
        for rows in _chunks(len(movies), box):
            coefficients[rows] = -coefficients[rows]
    noise = windowed_noise_variance(corners.spectrum(), window, outside if options.normalise else None, disc)
    mean_power = power / torch.bincount(disc.shell) / len(movies)
    return PreparedFrames(
        half_disc=disc,
        pixel_size_in_angstroms=pixel_size,
        coefficients=coefficients,
        noise_variance=noise.numpy(),
        window_mean_square=float(window.square().mean()),
        scale=scale,
        offset=offset,
        sign=sign,
        sign_note=note,
        signal_power=(mean_power - noise).float().numpy(),
        radius_in_angstroms=radius * pixel_size,
    )


def translation_in_pixels(movies: MovieSet, prepared: PreparedFrames) -> npt.NDArray[np.float32]:
    """Translations (frames, 2) as (x, y) in pixels of the prepared box.

    Raises UserError when the movies carry none.
    """
    if movies.translation_in_angstroms is None:
        raise UserError("the movies carry no translations: give their poses.")
    return (movies.translation_in_angstroms / prepared.pixel_size_in_angstroms).astype(np.float32)


def _cropped(movies: MovieSet, box: int | None) -> tuple[int, float]:
    given = movies.images.box_size
    if given < SMALLEST_BOX:
        raise UserError(
            f"the images' box of {given} pixels is too small for a reconstruction: give images of at least"
            f" {SMALLEST_BOX} pixels."
        )
    if box is None:
        return given, movies.pixel_size_in_angstroms
    if box % 2 or not SMALLEST_BOX <= box <= given:
        raise UserError(
            f"cannot crop to a box of {box}: choose an even number from {SMALLEST_BOX} to {given}, "
            "the images' box."
        )
    return box, movies.pixel_size_in_angstroms * given / box


def _radius_in_pixels(options: PreprocessingOptions, box: int, pixel_size: float) -> float:
    if options.particle_radius_in_angstroms is None:
        return box / 2
    radius = options.particle_radius_in_angstroms / pixel_size
    if not radius > 0 or int(outside_circle(box, radius).sum()) < FEWEST_NOISE_PIXELS:
        raise UserError(
            f"a particle radius of {options.particle_radius_in_angstroms:g} Å leaves no noise to measure in "
            f"a box of {box * pixel_size:g} Å: choose one above 0 and up to about {box * pixel_size / 2:g} Å."
        )
    return radius


def _chunks(count: int, box: int) -> Iterator[npt.NDArray[np.int64]]:
    size = max(1, PIXELS_PER_CHUNK // box**2)
    return (np.arange(start, min(start + size, count)) for start in range(0, count, size))

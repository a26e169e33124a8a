"""What is drawn at random beside the motion: the frames there are, poses, defocus."""

import math

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.physics.ctf import ContrastTransfer
from temporem.physics.rotations import random_rotations, rotational_diffusion
from temporem.simulation.options import MicroscopeOptions, PoseOptions

__all__ = ["draw_contrast_transfer", "draw_lengths", "draw_presence", "draw_rotations", "draw_translations"]

FEWEST_FRAMES = 2


def draw_lengths(
    movies: int, frames: int, shortest: int | None, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Frames (movies,) of each movie, missing ones too: `frames`, or uniform in `shortest` … `frames`."""
    if shortest is None:
        return np.full(movies, frames)
    return generator.integers(shortest, frames, size=movies, endpoint=True)


def draw_presence(
    lengths: npt.NDArray[np.int64], missing_fraction: float, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which of all movies' frames, one movie after another, were recorded: at least two of each."""
    presence = []
    for length in lengths:
        order = generator.random(length)
        kept = order >= missing_fraction
        kept[np.argsort(order)[-FEWEST_FRAMES:]] = True
        presence.append(kept)
    return np.concatenate(presence)


def draw_rotations(
    lengths: npt.NDArray[np.int64], options: PoseOptions, generator: torch.Generator
) -> Float[Tensor, "frames 3 3"]:
    """Rotations of all movies' frames, one movie after another."""
    if options.tumbling == "uniform":
        return random_rotations(int(lengths.sum()), generator).float()
    start = random_rotations(len(lengths), generator)
    intervals = torch.ones(len(lengths), int(lengths.max()) - 1, dtype=start.dtype)
    walks = rotational_diffusion(start, options.rotational_diffusion, intervals, generator)
    return torch.cat([walk[: int(length)] for walk, length in zip(walks, lengths, strict=True)]).float()


def draw_translations(
    frames: int, options: PoseOptions, generator: torch.Generator
) -> Float[Tensor, "frames 2"]:
    """Translations (x, y) in Å."""
    return options.shift_sd_in_angstroms * torch.randn(frames, 2, generator=generator)


def draw_contrast_transfer(
    lengths: npt.NDArray[np.int64], options: MicroscopeOptions, generator: np.random.Generator
) -> ContrastTransfer | None:
    """One CTF per movie, repeated for each of its frames; None where the options want none."""
    if not options.ctf:
        return None
    movies = len(lengths)
    defocus = 1e4 * generator.uniform(*options.defocus_in_micrometres, size=movies)
    astigmatism = 1e4 * generator.uniform(0, options.astigmatism_in_micrometres, size=movies)
    angle = generator.uniform(0, math.pi, size=movies)
    columns = (
        defocus + astigmatism / 2,
        defocus - astigmatism / 2,
        angle,
        options.voltage_in_kilovolts,
        options.spherical_aberration_in_millimetres,
        options.amplitude_contrast,
        math.radians(options.phase_shift_in_degrees),
        options.b_factor_in_square_angstroms,
    )
    per_movie = (np.broadcast_to(np.asarray(column, np.float32), movies) for column in columns)
    return ContrastTransfer(*(torch.from_numpy(np.repeat(column, lengths)) for column in per_movie))

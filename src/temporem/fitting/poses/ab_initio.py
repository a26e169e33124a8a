"""A first volume and every frame's pose, from nothing but the images.

Stochastic expectation–maximisation of one volume at low resolution from a random start: batches of frames
are compared with a quasi-uniform grid of rotations, turned anew each time, and of shifts, and back-projected
at all poses with their probabilities. The temperature falls and the frequencies rise as it goes. The
minibatches from a random start are cryoSPARC's (Punjani et al. 2017), the exhaustive search over a grid with
a rising frequency limit is cryoDRGN2's (Zhong et al. 2021), and keeping the poses beyond that as parameters
to be climbed with is CryoSPIN's (Shekarforoush et al. 2024).

The hand of the molecule cannot be told from projections: either may come out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.search import log_likelihoods, see, shift_grid, slices_of
from temporem.physics.projection import add_mates, add_slices
from temporem.physics.rotation_grids import rotation_grid
from temporem.physics.rotations import random_rotations
from temporem.physics.volumes import PADDING, fourier_resize
from temporem.reconstruction.backprojection import Accumulator, wiener

__all__ = ["STEPS", "first_volume", "image_power", "radius_within", "sphere"]


@dataclass(frozen=True)
class Level:
    """One stage of the stochastic search."""

    radius: int
    """Frequencies used, in cycles per box."""
    rotations: int
    shift_spacing: float
    """In pixels of a box of 64."""
    batch: int
    steps: int
    temperature: tuple[float, float]
    """Of the likelihood, at the first step and the last."""
    forgetting: float
    """Share of the sums so far that each step forgets."""


LEVELS = (
    Level(6, 1500, 3.0, 100, 40, (30.0, 4.0), 0.3),
    Level(8, 3000, 2.5, 150, 20, (4.0, 2.0), 0.3),
    Level(10, 4500, 2.0, 250, 12, (2.0, 1.0), 0.2),
)
STEPS = sum(level.steps for level in LEVELS)
SHIFT_RADIUS = 5.0
"""Of the shifts tried, in pixels of a box of 64."""
FRAMES_AT_ONCE = 32
WINDOW_RADIUS, WINDOW_EDGE = 0.38, 0.08
"""Of the sphere that holds the molecule, and its soft edge, in boxes."""


def first_volume(
    store: FrameStore,
    rows: Tensor,
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> Float[Tensor, "n n n"]:
    """What one random start comes to on the frames `rows`, with the frequencies of the last of `LEVELS`."""
    scale = store.lattice.box_size / 64
    power = image_power(store, rows)
    volume: Tensor | None = None
    for level in LEVELS:
        radius = radius_within(store, level.radius)
        box = 2 * (radius + 1)
        count = store.lattice.count_within(radius)
        window = sphere(box)
        sums = empty_sums(box)
        shifts = shift_grid(level.shift_spacing * scale, SHIFT_RADIUS * scale)
        grid = rotation_grid(level.rotations)
        if volume is None:
            volume = random_volume(box, power, window, generator)
        else:
            volume = fourier_resize(volume, box)
        first, last = level.temperature
        for step in range(level.steps):
            temperature = first * (last / first) ** (step / max(1, level.steps - 1))
            some = rows[torch.randperm(len(rows), generator=generator)[: level.batch]]
            turned = grid @ random_rotations(1, generator)[0]
            new = expected_sums(store, volume, some, turned, shifts, count, temperature, box)
            sums = Accumulator(
                sums.numerator * (1 - level.forgetting) + new.numerator,
                sums.denominator * (1 - level.forgetting) + new.denominator,
                box,
                PADDING,
            )
            volume = wiener(sums, power[: box // 2 + 1], window)
            advance(1, f"{radius} cycles per box")
    if volume is None:
        raise ValueError("there is a level at least")
    return volume


def radius_within(store: FrameStore, radius: int) -> int:
    """That Fourier radius, or what the images' box has of it."""
    return min(radius, store.lattice.box_size // 2 - 1)


def expected_sums(
    store: FrameStore,
    volume: Float[Tensor, "n n n"],
    rows: Tensor,
    rotation: Float[Tensor, "rotations 3 3"],
    shifts: Float[Tensor, "shifts 2"],
    count: int,
    temperature: float,
    box: int,
) -> Accumulator:
    """Back-projection of frames at all poses, weighted by their probabilities."""
    lattice = store.lattice
    slices = slices_of(volume, rotation, lattice, count)
    values = torch.zeros(len(rotation), 2 * count)
    weights = torch.zeros(len(rotation), count)
    for some in torch.split(rows, FRAMES_AT_ONCE):
        seen = see(store, some, shifts, count)
        likelihood = log_likelihoods(seen, slices, lattice).div_(temperature)
        probability = torch.softmax(likelihood.flatten(1), dim=-1).reshape(likelihood.shape)
        values += probability.flatten(0, 1).T @ seen.shifted.flatten(0, 1)
        weights += probability.sum(1).T @ seen.squared_transfer
    sums = empty_sums(box)
    inserted = torch.view_as_complex(values.reshape(-1, count, 2))
    add_slices(
        sums.numerator, sums.denominator, inserted, weights, rotation, lattice.frequency[:count], PADDING
    )
    add_mates(sums.numerator)
    add_mates(sums.denominator)
    return sums


def empty_sums(box: int) -> Accumulator:
    """Sums of no frames."""
    size = PADDING * box
    shape = (size, size, size // 2 + 1)
    return Accumulator(torch.zeros(shape, dtype=torch.complex64), torch.zeros(shape), box, PADDING)


def image_power(store: FrameStore, rows: Tensor) -> Float[Tensor, " shells"]:
    """E|slice|² in each shell: what the frames' power exceeds that of their noise by, over the mean CTF²."""
    shell, shells = store.lattice.shell, store.lattice.radius + 1
    excess, transfer = torch.zeros(shells), torch.zeros(shells)
    for some in torch.split(rows, 256):
        frames = store.frames(some)
        excess.index_add_(0, shell, (frames.coefficients.abs().square() - 1).sum(0))
        transfer.index_add_(0, shell, frames.transfer.square().sum(0))
    power = excess / transfer.clamp(min=1e-12)
    # Where noise leaves nothing to see, the power is taken to go on falling.
    floor = 1e-3 * power[1:4].mean()
    return power.clamp(min=float(floor))


def sphere(box: int) -> Float[Tensor, "n n n"]:
    """Soft sphere around the centre."""
    axis = (torch.arange(box) - box // 2) / box
    radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    edge = ((radius - WINDOW_RADIUS) / WINDOW_EDGE).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(math.pi * edge)


def random_volume(
    box: int, power: Float[Tensor, " shells"], window: Float[Tensor, "n n n"], generator: torch.Generator
) -> Float[Tensor, "n n n"]:
    """A round blob with lumps."""
    axis = (torch.arange(box) - box // 2) / box
    squared = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    blob = torch.exp(-squared / (2 * 0.13**2))
    lumps = torch.rand(blob.shape, generator=generator)
    volume = blob * lumps * window
    # Its mean projection has the power that the images have at their centre.
    return volume * (power[0].sqrt() * box / volume.sum())

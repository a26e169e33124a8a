"""A molecule of Gaussian atoms with an arm that swings, and its noisy images, summed analytically."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import HalfDisc, half_disc
from temporem.physics.rotations import random_rotations
from temporem.reconstruction.backprojection import accumulate, signal_power, wiener

PIXEL_SIZE = 4.0
BOX = 48
SIGMA = 4.0


@dataclass(frozen=True)
class Sample:
    coefficients: Tensor
    ctf: Tensor
    rotation: Tensor
    translation_in_pixels: Tensor
    noise_variance: Tensor
    half_disc: HalfDisc
    state: Tensor
    volumes: Tensor

    def pose(self) -> tuple[Tensor, Tensor, Tensor, HalfDisc]:
        return self.rotation, self.translation_in_pixels, self.noise_variance, self.half_disc


def atoms(state_count: int) -> Tensor:
    """Positions (states, atoms, 3) in Å: a globule off the centre, and an arm swinging by 120°."""
    generator = torch.Generator().manual_seed(5)
    body = torch.randn(150, 3, generator=generator) * 10
    body[:, 2] -= 8
    along = torch.rand(20, 1, generator=generator) * torch.tensor([[32.0, 0, 0]])
    arm = along + torch.tensor([[24.0, 0, 0]]) + torch.randn(20, 3, generator=generator) * 3
    states = []
    for angle in torch.linspace(0, 2 * math.pi / 3, state_count).tolist():
        c, s = math.cos(angle), math.sin(angle)
        states.append(torch.cat((body, arm @ torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1]]))))
    return torch.stack(states)


def profiles(position: Tensor) -> Tensor:
    """Gaussian of unit sum over the pixels (…, n) around each coordinate in Å."""
    axis = (torch.arange(BOX) - BOX // 2) * PIXEL_SIZE
    scale = PIXEL_SIZE / (SIGMA * math.sqrt(2 * math.pi))
    return scale * torch.exp(-((axis - position[..., None]) ** 2) / (2 * SIGMA**2))


def density(position: Tensor) -> Tensor:
    """Volume [z, y, x] of atoms (atoms, 3)."""
    x, y, z = profiles(position.T)
    return torch.einsum("az,ay,ax->zyx", z, y, x)


def sample(frames: int, snr: float, states: int = 10, seed: int = 0, with_ctf: bool = True) -> Sample:
    """Frames in turn of every state at random poses; white noise, SNR over all pixels of the set."""
    generator = torch.Generator().manual_seed(seed)
    disc = half_disc(BOX)
    positions, state = atoms(states), torch.arange(frames) % states
    rotation = random_rotations(frames, generator).float()
    shift = 1.5 * torch.randn(frames, 2, generator=generator)
    x, y = profiles(
        torch.einsum("fij,faj->ifa", rotation, positions[state])[:2] + (shift.T * PIXEL_SIZE)[..., None]
    )
    coefficients = disc.from_images(torch.einsum("fay,fax->fyx", y, x))
    ctf = torch.ones(frames, len(disc))
    if with_ctf:
        defocus = 1e4 + 1.5e4 * torch.rand(frames, generator=generator)
        ones = torch.ones(frames)
        parameters = ContrastTransfer(
            defocus, defocus - 200, 0 * ones, 300 * ones, 2.7 * ones, 0.1 * ones, 0 * ones, 0 * ones
        )
        ctf = contrast_transfer_function(parameters, disc.frequency / (BOX * PIXEL_SIZE))
    clean = disc.to_images(coefficients * ctf)
    variance = float(clean.var()) / snr
    noisy = clean + math.sqrt(variance) * torch.randn(clean.shape, generator=generator)
    return Sample(
        disc.from_images(noisy),
        ctf,
        rotation,
        shift,
        torch.full((disc.radius + 1,), variance),
        disc,
        state,
        torch.stack([density(p) for p in positions]),
    )


def back_project(data: Sample, ctf: Tensor | None, weight: Tensor | None = None) -> Tensor:
    """The volume of weighted frames, its power from every other frame against the rest."""
    weight = torch.ones(len(data.state)) if weight is None else weight
    odd = (weight != 0).cumsum(0) % 2 == 1
    a, b = (accumulate(data.coefficients, ctf, *data.pose(), weight * half) for half in (odd, ~odd))
    return wiener(a + b, signal_power([(a, b)], len(data.noise_variance)))


def error(volume: Tensor, truth: Tensor) -> float:
    """Squared distance as a fraction of the truth's."""
    return float(((volume - truth) ** 2).sum() / (truth**2).sum())

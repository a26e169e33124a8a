"""The network's sleep: frames made of the present volume at poses drawn, whose poses it is asked for.

As many as are wanted, each with its answer, where movies have few and none. That is the sleep phase of the
wake–sleep algorithm (Hinton et al. 1995), and the pose–image–pose half of ACE-HetEM (Chen et al. 2023).
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from temporem.fitting.pose_network.exploring import log_mixture
from temporem.model.batches import FrameBatch
from temporem.model.methods import DynamicalModel
from temporem.physics.lattice import HalfDisc
from temporem.physics.projection import central_slices
from temporem.physics.rotations import random_rotations
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import PADDING

__all__ = ["dream"]


def dream(
    model: DynamicalModel,
    grid: Complex[Tensor, "m m m//2+1"],
    transfer: Float[Tensor, "frames coefficients"],
    lattice: HalfDisc,
    noise_sd: float,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean of −log q(φ | X) over frames X made at poses φ of the prior, one for each CTF given, in nats.

    `noise_sd` is that of whitened coefficients. Neither the volume nor the prior learns from it.
    """
    made, rotation, shift = _made(model, grid, transfer, lattice, noise_sd, generator)
    return -log_mixture(model.pose_candidates(made, lattice), rotation, shift).mean()


@torch.no_grad()
def _made(
    model: DynamicalModel,
    grid: Complex[Tensor, "m m m//2+1"],
    transfer: Float[Tensor, "frames coefficients"],
    lattice: HalfDisc,
    noise_sd: float,
    generator: torch.Generator,
) -> tuple[FrameBatch, Float[Tensor, "frames 3 3"], Float[Tensor, "frames 2"]]:
    count, coefficients = transfer.shape
    frequency, device = lattice.frequency[:coefficients], transfer.device
    rotation = random_rotations(count, generator).to(device)
    shift = model.shift_prior().sample(torch.randn((count, 2), generator=generator).to(device))
    noise = torch.randn((2, count, coefficients), generator=generator).to(device) * noise_sd
    # Half of the variance in each part, but all of it where a coefficient is real: at the origin.
    real = torch.where(lattice.multiplicity[:coefficients] == 1, 1.0, math.sqrt(0.5))
    imaginary = torch.where(lattice.multiplicity[:coefficients] == 1, 0.0, math.sqrt(0.5))
    slices = central_slices(grid, rotation, frequency, PADDING)
    slices = slices * phase_shift(frequency, shift, model.generator.box_size)
    seen = transfer * slices + torch.complex(noise[0] * real, noise[1] * imaginary)
    return FrameBatch(seen, transfer, rotation), rotation, shift

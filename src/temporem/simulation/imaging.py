"""What a microscope makes of a volume: projections, moved by the CTF, and noise."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.physics.shifts import phase_shift
from temporem.simulation.central_slice import OversampledTransform

__all__ = ["NoiseColour", "clean_images", "noise"]

NoiseColour = Literal["white", "coloured"]

COLOURED_FLOOR = 0.3
COLOURED_CORNER = 0.1
"""Coloured noise: power floor + (1 − floor) / (1 + (k / corner)²), corner in units of Nyquist."""


def clean_images(
    transform: OversampledTransform,
    rotation: Float[Tensor, "b 3 3"],
    translation_in_pixels: Float[Tensor, "b 2"],
    contrast_transfer: ContrastTransfer | None,
    pixel_size_in_angstroms: float,
    padding: int = 2,
) -> Float[Tensor, "b n n"]:
    """Noise-free images (b, y, x) of one volume, in its units times voxels (plain sums along the beam).

    The image is made in a box `padding` times larger and cropped, so that what the CTF spreads beyond the box
    is lost, as in a micrograph, and does not enter again on the other side. Frequencies beyond Nyquist,
    |k| > n / 2, are zero.
    """
    n = transform.box_size
    lattice = half_disc(padding * n)
    coefficients = transform.slices(rotation, lattice.frequency / padding) / (padding * n)
    coefficients = coefficients * phase_shift(lattice.frequency, translation_in_pixels, padding * n)
    if contrast_transfer is not None:
        frequency_in_inverse_angstroms = lattice.frequency / (padding * n * pixel_size_in_angstroms)
        coefficients = coefficients * contrast_transfer_function(
            contrast_transfer, frequency_in_inverse_angstroms
        )
    start = padding * n // 2 - n // 2
    return lattice.to_images(coefficients)[..., start : start + n, start : start + n]


def noise(
    count: int, box_size: int, variance: float, colour: NoiseColour, generator: torch.Generator
) -> Float[Tensor, "count n n"]:
    """Gaussian noise of this variance per pixel, white or stronger at low frequency as behind ice or liquid.

    Coloured noise is cut from fields twice as large, so that it does not wrap around the box.
    """
    if colour == "white":
        return torch.randn(count, box_size, box_size, generator=generator) * math.sqrt(variance)
    n = 2 * box_size
    field = torch.fft.rfft2(torch.randn(count, n, n, generator=generator), norm="ortho")
    ky, kx = torch.meshgrid(torch.fft.fftfreq(n, 0.5), torch.fft.rfftfreq(n, 0.5), indexing="ij")
    power = COLOURED_FLOOR + (1 - COLOURED_FLOOR) / (1 + (kx**2 + ky**2) / COLOURED_CORNER**2)
    multiplicity = torch.full((n // 2 + 1,), 2.0)
    multiplicity[[0, -1]] = 1.0
    mean_power = (power * multiplicity).sum() / n**2
    images: Tensor = torch.fft.irfft2(field * (power / mean_power).sqrt(), s=(n, n), norm="ortho")
    return images[:, :box_size, :box_size] * math.sqrt(variance)

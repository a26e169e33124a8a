"""Fourier shell correlation of volumes, and the resolution read off it.

Shells are hard and one Fourier pixel wide: a coefficient belongs to shell |k| rounded to the nearest integer,
0 … Nyquist. FSC: Harauz and van Heel, Optik 73 (1986), 146. Real volumes need only half of their
coefficients, counted twice.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from temporem.physics.volumes import grid_radius

__all__ = [
    "Spectrum",
    "correlate",
    "fourier_shell_correlation",
    "largest_k_above",
    "resolution_at",
    "spectrum",
]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A volume's Fourier coefficients up to Nyquist and their power, to be correlated with several others."""

    box_size: int
    coefficients: Complex[Tensor, "*batch coefficients"]
    power: Float[Tensor, "*batch shells"]


@lru_cache(maxsize=8)
def _shells(
    box_size: int,
) -> tuple[Int[Tensor, " coefficients"], Int[Tensor, " coefficients"], Float[Tensor, " coefficients"]]:
    """Position in the flattened half grid, shell and multiplicity of every coefficient up to Nyquist."""
    shell = grid_radius(box_size).round().long()
    twice = torch.ones(box_size // 2 + 1)
    # Columns 0 and Nyquist of the half grid hold both of each pair of opposite coefficients already.
    twice[1 : (box_size + 1) // 2] = 2.0
    index = (shell.flatten() <= box_size // 2).nonzero().squeeze(-1)
    return index, shell.flatten()[index], twice.expand(shell.shape).flatten()[index]


def _shell_sums(
    values: Float[Tensor, "*batch coefficients"], box_size: int
) -> Float[Tensor, "*batch shells"]:
    _, shell, multiplicity = _shells(box_size)
    sums = values.new_zeros((*values.shape[:-1], box_size // 2 + 1), dtype=torch.float64)
    return sums.index_add_(-1, shell, (values * multiplicity).double())


def spectrum(volumes: Float[Tensor, "*batch n n n"]) -> Spectrum:
    """Transform cubic volumes."""
    box_size = volumes.shape[-1]
    index, _, _ = _shells(box_size)
    coefficients = torch.fft.rfftn(volumes, dim=(-3, -2, -1)).flatten(-3)[..., index]
    return Spectrum(box_size, coefficients, _shell_sums(coefficients.abs().square(), box_size))


def correlate(a: Spectrum, b: Spectrum) -> Float[Tensor, "*batch shells"]:
    """FSC (…, n // 2 + 1) of two spectra, batch dimensions broadcast; 0 where either has no power."""
    product = a.coefficients.real * b.coefficients.real + a.coefficients.imag * b.coefficients.imag
    scale = (a.power * b.power).sqrt()
    fsc = _shell_sums(product, a.box_size) / scale.clamp(min=torch.finfo(scale.dtype).tiny)
    return fsc.clamp(-1.0, 1.0)


def fourier_shell_correlation(
    a: Float[Tensor, "*batch n n n"], b: Float[Tensor, "*batch n n n"]
) -> Float[Tensor, "*batch shells"]:
    """FSC (…, n // 2 + 1) of volumes of equal box."""
    return correlate(spectrum(a), spectrum(b))


def resolution_at(
    fsc: Float[Tensor, "*batch shells"], box_size: int, pixel_size_in_angstroms: float, threshold: float = 0.5
) -> tuple[Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
    """Resolution in Å where the FSC first falls below `threshold`, and whether it never does.

    Linear interpolation between that shell and the one before; Nyquist where the FSC never falls. Shell 0,
    the mean, says nothing of structure and counts as 1.
    """
    curve = torch.cat((torch.ones_like(fsc[..., :1]), fsc[..., 1:]), dim=-1)
    below = curve < threshold
    never = ~below.any(dim=-1)
    at = torch.where(never, 1, below.int().argmax(dim=-1))
    before = curve.gather(-1, (at - 1)[..., None]).squeeze(-1)
    after = curve.gather(-1, at[..., None]).squeeze(-1)
    # Where it never falls, `after` is no crossing; any divisor but 0 will do.
    fall = torch.where(never, 1.0, before - after)
    k = torch.where(never, curve.shape[-1] - 1.0, at - 1 + (before - threshold) / fall)
    return box_size * pixel_size_in_angstroms / k, never


def largest_k_above(fsc: Float[Tensor, "*batch shells"], threshold: float = 0.5) -> Int[Tensor, "*batch"]:
    """Return the largest shell whose FSC is above `threshold`, whatever is between: the paper's figure.

    At least 1, the coarsest shell that has structure.
    """
    shell = torch.arange(fsc.shape[-1])
    return torch.where(fsc > threshold, shell, 0).amax(dim=-1).clamp(min=1)

"""The frequency lattice: a real image's transform is Hermitian, so a half-disc of coefficients is all of it.

Convention: the origin of images [y, x] and volumes [z, y, x] is at index n // 2; transforms are orthonormal
in 2D, so that white noise of variance σ² has E|N|² = σ² in every coefficient, and Parseval holds with the
multiplicities below.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

__all__ = ["HalfDisc", "half_disc"]


@dataclass(frozen=True, eq=False)
class HalfDisc:
    """Half of the Fourier coefficients of an n × n real image within a radius, in order of rising |k|.

    A prefix of the coefficients is therefore a half-disc of smaller radius.
    """

    box_size: int
    radius: int
    frequency: Float[Tensor, "coefficients 2"]
    """(kx, ky) in Fourier pixels, that is cycles per box."""
    multiplicity: Float[Tensor, " coefficients"]
    """How many coefficients of the full disc each stands for: 1 at the origin, 2 elsewhere."""
    shell: Int[Tensor, " coefficients"]
    """|k| rounded to the nearest integer: 0 … radius."""
    index: Int[Tensor, " coefficients"]
    """Position in the flattened output of `rfft2` (n rows, n // 2 + 1 columns)."""

    def __len__(self) -> int:
        return len(self.shell)

    def count_within(self, radius: int | float) -> int:
        """Number of leading coefficients with |k| ≤ radius."""
        return int((self.frequency.norm(dim=-1) <= radius + 1e-6).sum())

    def cropped(self, box_size: int) -> "HalfDisc":
        """The leading coefficients, |k| < box_size / 2, as those of images Fourier-cropped to an even box."""
        if box_size == self.box_size:
            return self
        radius = box_size // 2
        count = self.count_within(radius - 1e-3)
        kx, ky = self.frequency[:count].long().unbind(-1)
        index = ky % box_size * (radius + 1) + kx
        return HalfDisc(
            box_size, radius, self.frequency[:count], self.multiplicity[:count], self.shell[:count], index
        )

    def to(self, device: torch.device) -> "HalfDisc":
        """Return the same lattice with its tensors on `device`."""
        tensors = (x.to(device) for x in (self.frequency, self.multiplicity, self.shell, self.index))
        return HalfDisc(self.box_size, self.radius, *tensors)

    def from_images(self, images: Float[Tensor, "*batch n n"]) -> Complex[Tensor, "*batch coefficients"]:
        """Orthonormal Fourier coefficients of real images."""
        transform: Tensor = torch.fft.rfft2(torch.fft.ifftshift(images, dim=(-2, -1)), norm="ortho")
        return transform.flatten(-2)[..., self.index]

    def to_images(self, coefficients: Complex[Tensor, "*batch coefficients"]) -> Float[Tensor, "*batch n n"]:
        """Real images whose coefficients are these within the radius, and zero beyond it."""
        n = self.box_size
        transform = coefficients.new_zeros((*coefficients.shape[:-1], n * (n // 2 + 1)))
        transform[..., self.index] = coefficients
        # irfft2 reads only one half of the column kx = 0, which `index` fills on its ky > 0 side: mirror it.
        column = self.frequency[:, 0] == 0
        mirrored = (-self.frequency[column, 1].long() % n) * (n // 2 + 1)
        transform[..., mirrored] = coefficients[..., column].conj()
        transform[..., 0] = coefficients[..., 0]
        half_plane = transform.reshape(*transform.shape[:-1], n, n // 2 + 1)
        images: Tensor = torch.fft.fftshift(
            torch.fft.irfft2(half_plane, s=(n, n), norm="ortho"), dim=(-2, -1)
        )
        return images


@lru_cache(maxsize=16)
def half_disc(box_size: int, radius: int | None = None) -> HalfDisc:
    """Return the half-disc |k| ≤ radius of an even box; the default radius is Nyquist, n // 2.

    The Nyquist row and column themselves are left out: they have no partner of opposite sign on the lattice.

    Raises ValueError for an odd or empty box and for a radius outside 1 … n // 2.
    """
    n = box_size
    radius = n // 2 if radius is None else radius
    if n < 2 or n % 2 or not 1 <= radius <= n // 2:
        raise ValueError(f"box size {n} must be even and the radius {radius} within 1 … {n // 2}")
    ky = torch.fft.fftfreq(n, 1 / n).round()[:, None].expand(n, n // 2 + 1)
    kx = torch.arange(n // 2 + 1, dtype=torch.float32)[None, :].expand(n, n // 2 + 1)
    half = (kx > 0) | ((kx == 0) & (ky >= 0))
    inside = half & (kx**2 + ky**2 <= radius**2) & (kx < n // 2) & (ky.abs() < n // 2)
    index = inside.flatten().nonzero().squeeze(-1)
    frequency = torch.stack((kx.flatten()[index], ky.flatten()[index]), dim=-1)
    order = frequency.norm(dim=-1).argsort(stable=True)
    frequency, index = frequency[order], index[order]
    multiplicity = torch.full((len(index),), 2.0)
    multiplicity[0] = 1.0
    return HalfDisc(n, radius, frequency, multiplicity, frequency.norm(dim=-1).round().long(), index)

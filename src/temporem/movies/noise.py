"""The noise's power per frequency shell, from the corners of the images.

The corners are too small and too oddly shaped for a periodogram. Their autocovariance has no such trouble:
every pair of pixels that both lie in the corners is an unbiased sample of it, and its transform is the power
(Wiener–Khinchin).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.physics.lattice import HalfDisc

__all__ = ["CornerNoise", "windowed_noise_variance"]

LONG_LAG, SHORT_LAG = 0.45, 0.25
"""Of the box; correlations beyond are taken as zero. Long lags resolve noise that rises steeply towards the
origin (to 3 % a Lorentzian 3 Fourier pixels wide, where short ones err by 11 %); short lags scatter half as
much."""
LONG_BELOW, SHORT_ABOVE = 2, 6
"""Frequencies in Fourier pixels between which one gives way to the other."""
SHELLS_THE_MEAN_REACHES = 4.0
"""Subtracting the corners' mean adds its error to the coefficients next to the origin only."""


class CornerNoise:
    """Accumulates the autocovariance of images inside a mask that holds noise only."""

    def __init__(self, mask: Bool[Tensor, "n n"]) -> None:
        self.mask = mask.double()
        self._power = torch.zeros(2 * len(mask), len(mask) + 1, dtype=torch.float64)
        self._images = 0

    def add(self, images: Float[Tensor, "batch n n"]) -> None:
        """Take these images (batch, n, n) in; each image's mean inside the mask is removed."""
        n = len(self.mask)
        mask = self.mask.to(images.dtype)
        mean = (images * mask).sum(dim=(-2, -1), keepdim=True) / mask.sum()
        transform = torch.fft.rfft2((images - mean) * mask, s=(2 * n, 2 * n))
        self._power += transform.abs().square().sum(dim=0)
        self._images += len(images)

    def spectrum(self) -> Float[Tensor, "n n"]:
        """Power of the noise (n, n) in orthonormal coefficients, in `fft2`'s order, the same at every angle.

        Raises ValueError when no image was added.
        """
        if not self._images:
            raise ValueError("no images were added")
        n = len(self.mask)
        size = (2 * n, 2 * n)
        pairs = torch.fft.irfft2(torch.fft.rfft2(self.mask, s=size).abs().square(), s=size).round()
        products = torch.fft.irfft2(self._power / self._images, s=size)
        axis = torch.fft.fftfreq(2 * n, 1 / (2 * n), dtype=torch.float64)
        squared = axis[:, None] ** 2 + axis[None, :] ** 2
        # One value for each length of lag: wider rings would blur what changes within a pixel or two.
        ring = squared.round().long()
        total, weight = (torch.bincount(ring.flatten(), x.flatten()) for x in (products, pairs))
        covariance = (total / weight.clamp(min=1))[ring]
        long, short = (
            self._transform(covariance, pairs, squared.sqrt(), max(2.0, x * n)) for x in (LONG_LAG, SHORT_LAG)
        )
        axis = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
        frequency = torch.hypot(axis[:, None], axis[None, :])
        share = ((frequency - LONG_BELOW) / (SHORT_ABOVE - LONG_BELOW)).clamp(0, 1)
        return torch.lerp(long, short, share).clamp(min=0).float()

    def _transform(
        self,
        covariance: Float[Tensor, "m m"],
        pairs: Float[Tensor, "m m"],
        lag: Float[Tensor, "m m"],
        longest: float,
    ) -> Float[Tensor, "n n"]:
        """Power from the covariance up to the longest lag."""
        near = (lag <= longest) & (pairs > 0)
        # The mean that was removed took the noise's own mean with it; over a few corners that is not nothing.
        share = pairs[near].sum() / self.mask.sum() ** 2
        lost = (covariance * pairs)[near].sum() / self.mask.sum() ** 2 / (1 - share)
        taper = (0.5 + 0.5 * torch.cos(torch.pi * lag / longest)) * near
        power: Tensor = torch.fft.fft2((covariance + lost) * taper).real
        # The transform of twice the box: every second frequency is one of the box's.
        return power[::2, ::2]


def windowed_noise_variance(
    spectrum: Float[Tensor, "n n"],
    window: Float[Tensor, "n n"],
    outside: Bool[Tensor, "n n"] | None,
    half_disc: HalfDisc,
) -> Float[Tensor, " shells"]:
    """E|N|² (shells,) of the coefficients of windowed noise of power `spectrum` (in `fft2`'s order).

    Exact for stationary noise on a periodic box: multiplying by the window convolves the power with the
    window's. With `outside`, each image first loses its own mean over those pixels.
    """
    n = half_disc.box_size
    window, spectrum = window.double(), spectrum.double()
    kernel = torch.fft.fft2(window).abs().square() / n**4
    power = torch.fft.ifft2(torch.fft.fft2(spectrum) * torch.fft.fft2(kernel)).real
    kx, ky = (half_disc.frequency[:, i].long() for i in (0, 1))
    variance = power[ky % n, kx % n]
    if outside is not None:
        low = slice(half_disc.count_within(SHELLS_THE_MEAN_REACHES))
        turns = torch.arange(n) / n
        phase = kx[low, None, None] * turns[None, None, :] + ky[low, None, None] * turns[None, :, None]
        weight = window * torch.exp(-2j * torch.pi * phase.double())
        weight = weight - weight.sum(dim=(-2, -1), keepdim=True) * outside / outside.sum()
        variance[low] = (torch.fft.fft2(weight).abs().square() * spectrum).sum(dim=(-2, -1)) / n**4
    total = torch.bincount(half_disc.shell, variance, minlength=half_disc.radius + 1)
    counts = torch.bincount(half_disc.shell, minlength=half_disc.radius + 1)
    return (total / counts).float()

"""Fourier transforms of points: sums Σ_j a_j exp(−2πi k·p_j / n) at all k of a lattice.

On the processor slices are FINUFFT's. On other devices, and for volumes, each point is spread onto a grid
sampled twice too finely, by a kernel four grid points wide, which the fast Fourier transform's result is then
divided by: a nonuniform FFT as FINUFFT's (Barnett, Magland & af Klinteberg 2019, SIAM J. Sci. Comput. 41,
C479), with their kernel exp(β(√(1 − t²) − 1)). Either's error is at most 1e-3 of the sums' rms.
"""

import math
from typing import Any

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from temporem.physics.nonuniform import point_sums
from temporem.physics.volumes import fourier_to_volume, grid_radius

__all__ = ["point_slices", "point_volume", "spread_slices"]

_WIDTH = 4
_BETA = 2.3 * _WIDTH
_POINTS_AT_ONCE = 1 << 16
"""What keeps the work within the processor's cache."""


def point_slices(
    position: Float[Tensor, "frames 2 points"],
    amplitude: Float[Tensor, "*#frames points"],
    frequency: Float[Tensor, "coefficients 2"],
    box_size: int,
) -> Complex[Tensor, "frames coefficients"]:
    """Transforms of points projected onto the image plane, differentiable in position and amplitude.

    `position` is x and y in pixels from the image's origin, `amplitude` of all frames or of each, `frequency`
    whole cycles per box. Scaled as in
    `physics.volumes`: (1/n) Σ_j a_j exp(−2πi k·p_j / n). Points beyond the box come in on the other side.
    """
    kx, ky = frequency.round().long().unbind(-1)
    if position.device.type == "cpu":
        return point_sums(position * (2 * math.pi / box_size), amplitude, kx, ky) / box_size
    return spread_slices(position, amplitude, kx, ky, box_size)


def spread_slices(
    position: Float[Tensor, "frames 2 points"],
    amplitude: Float[Tensor, "*#frames points"],
    kx: Int[Tensor, " coefficients"],
    ky: Int[Tensor, " coefficients"],
    box_size: int,
) -> Complex[Tensor, "frames coefficients"]:
    """`point_slices` in tensor operations alone, for any device."""
    size = 4 * max(1, int(torch.maximum(kx.abs().max(), ky.abs().max())))
    of_frames = amplitude.expand(len(position), -1)
    grid = _Spread.apply(position.mT * (size / box_size), of_frames, size)  # type: ignore[no-untyped-call]
    transform = torch.fft.fft2(grid.unflatten(-1, (size, size))).flatten(1)
    correction = _kernel_transform(kx, size) * _kernel_transform(ky, size) * box_size
    slices: Tensor = transform[:, (ky % size) * size + kx % size] / correction
    return slices


def point_volume(
    position: Float[Tensor, "points 3"],
    amplitude: Float[Tensor, " points"],
    box_size: int,
    width_in_pixels: float = 0.0,
) -> Float[Tensor, "n n n"]:
    """The volume [z, y, x] of Gaussians of that standard deviation at the points, below Nyquist.

    `position` is (x, y, z) in pixels from the volume's origin, n // 2; each Gaussian sums to its amplitude.
    Frequencies |k| ≥ n / 2 are left out. Not differentiable.
    """
    n, size = box_size, 2 * box_size
    grid = amplitude.new_zeros(size**3)
    weight, _, index = _taps(position.T * 2, size, derivative=False)
    for x in range(_WIDTH):
        for y in range(_WIDTH):
            for z in range(_WIDTH):
                place = (index[z, 2] * size + index[y, 1]) * size + index[x, 0]
                grid.scatter_add_(0, place, weight[z, 2] * weight[y, 1] * weight[x, 0] * amplitude)
    transform = torch.fft.rfftn(grid.reshape(size, size, size))
    half = n // 2
    kept = torch.cat((torch.arange(half), torch.arange(size - half, size)))
    transform = transform[kept][:, kept][:, :, : half + 1]
    whole = torch.fft.fftfreq(n, 1 / n, device=amplitude.device).abs()
    edge = _kernel_transform(whole.round().long(), size)
    radius = grid_radius(n).to(amplitude.device)
    scale = torch.exp(-2 * (math.pi * width_in_pixels * radius / n) ** 2) / n
    scale = scale / (edge[:, None, None] * edge[:, None] * edge[: half + 1])
    return fourier_to_volume(torch.where(radius < half, transform * scale, 0))


def _kernel_transform(frequency: Int[Tensor, " points"], size: int) -> Float[Tensor, " points"]:
    """∫ kernel(t) cos(2πkt / size) dt at whole frequencies."""
    t = torch.linspace(-_WIDTH / 2, _WIDTH / 2, 2001, dtype=torch.float64, device=frequency.device)
    kernel = torch.exp(_BETA * ((1 - (t * 2 / _WIDTH) ** 2).clamp(min=0).sqrt() - 1))
    highest = int(frequency.abs().max()) + 1
    k = torch.arange(highest, dtype=torch.float64, device=frequency.device)[:, None]
    table = torch.trapezoid(kernel * torch.cos(2 * math.pi * k * t / size), t, dim=-1)
    return table.float()[frequency.abs()]


def _taps(
    coordinate: Tensor, size: int, derivative: bool
) -> tuple[Float[Tensor, "4 *coordinates"], Tensor | None, Int[Tensor, "4 *coordinates"]]:
    """Kernel, its derivative where asked for, and index of the four grid points around each coordinate."""
    below = torch.floor(coordinate)
    fraction = coordinate - below
    distance = torch.stack((fraction + 1, fraction, fraction - 1, fraction - 2))
    root = (1 - (distance * (2 / _WIDTH)) ** 2).clamp_(min=1e-6).sqrt_()
    weight = (root - 1).mul_(_BETA).exp_()
    slope = (weight * distance).div_(root).mul_(-_BETA * (2 / _WIDTH) ** 2) if derivative else None
    first = below.long()
    return weight, slope, torch.stack((first - 1, first, first + 1, first + 2)).remainder_(size)


class _Spread(torch.autograd.Function):
    """Points (frames, points, 2) in grid points, amplitudes (frames, points) → grids (frames, size²), [y, x],
    origin first."""

    @staticmethod
    def forward(ctx: Any, position: Tensor, amplitude: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(position, amplitude)
        ctx.size = size
        grid = position.new_zeros(len(position), size * size)
        for part in _parts(position):
            x, y = position[part].unbind(-1)
            weight_x, _, index_x = _taps(x, size, derivative=False)
            weight_y, _, index_y = _taps(y, size, derivative=False)
            weight_y, index_y = weight_y * amplitude[part], index_y * size
            for i in range(_WIDTH):
                for j in range(_WIDTH):
                    grid[part].scatter_add_(1, index_y[i] + index_x[j], weight_y[i] * weight_x[j])
        return grid

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        position, amplitude = ctx.saved_tensors
        size = ctx.size
        moved = bool(ctx.needs_input_grad[0])
        of_position = torch.zeros_like(position) if moved else None
        of_amplitude = torch.zeros_like(amplitude)
        for part in _parts(position):
            x, y = position[part].unbind(-1)
            weight_x, slope_x, index_x = _taps(x, size, moved)
            weight_y, slope_y, index_y = _taps(y, size, moved)
            index_y = index_y * size
            along_x, along_y, along_amplitude = (torch.zeros_like(x) for _ in range(3))
            for i in range(_WIDTH):
                row, row_slope = torch.zeros_like(x), torch.zeros_like(x)
                for j in range(_WIDTH):
                    value = gradient[part].gather(1, index_y[i] + index_x[j])
                    row.addcmul_(value, weight_x[j])
                    if slope_x is not None:
                        row_slope.addcmul_(value, slope_x[j])
                along_amplitude.addcmul_(row, weight_y[i])
                if slope_y is not None:
                    along_y.addcmul_(row, slope_y[i])
                    along_x.addcmul_(row_slope, weight_y[i])
            of_amplitude[part] = along_amplitude
            if of_position is not None:
                of_position[part] = torch.stack((along_x, along_y), dim=-1) * amplitude[part, :, None]
        return of_position, of_amplitude, None


def _parts(position: Tensor) -> list[slice]:
    count = max(1, _POINTS_AT_ONCE // max(1, position.shape[1]))
    return [slice(start, start + count) for start in range(0, len(position), count)]

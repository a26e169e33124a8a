"""Sums over points on the processor: FINUFFT, whose plans each thread has of its own.

Barnett, Magland & af Klinteberg 2019, SIAM J. Sci. Comput. 41, C479.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import finufft
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

__all__ = ["point_sums"]

_PRECISION = 1e-3
"""Of the sums, relative to their norm."""


def point_sums(
    position: Float[Tensor, "frames 2 points"],
    amplitude: Float[Tensor, "*#frames points"],
    kx: Int[Tensor, " coefficients"],
    ky: Int[Tensor, " coefficients"],
) -> Complex[Tensor, "frames coefficients"]:
    """Σ_j a_j exp(−i k·p_j) with p in radians, differentiable in position and amplitude; on the processor.

    Amplitudes are of all frames, or of each.

    Frames are shared out among torch's threads; the result does not depend on how many there are.
    """
    of_frames = amplitude.expand(len(position), -1)
    sums: Tensor = _PointSums.apply(position, of_frames, kx, ky)  # type: ignore[no-untyped-call]
    return sums


class _PointSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, position: Tensor, amplitude: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
        across = position.detach().contiguous()
        ctx.save_for_backward(across, amplitude, kx, ky)
        size = _modes(kx, ky)
        strengths = amplitude.detach()
        sums = torch.empty(len(across), size, size, dtype=_complex(amplitude))

        def sum_frames(frames: range) -> None:
            plan = _plan(1, size, 1, -1, amplitude)
            for frame in frames:
                plan.setpts(*across[frame].numpy())
                plan.execute(strengths[frame].to(_complex(amplitude)).numpy(), sums[frame].numpy())

        _share_out(sum_frames, len(across))
        return sums[:, size // 2 + kx, size // 2 + ky]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Of amplitudes Re Σ_k g_k exp(i k·p_j), of positions a_j Re Σ_k i k g_k exp(i k·p_j).

        Real sums over half a plane: the two of the position share a transform, as its real and imaginary
        parts.
        """
        across, amplitude, kx, ky = ctx.saved_tensors
        moved = bool(ctx.needs_input_grad[0])
        size, count = _modes(kx, ky), 1 + moved
        grids = gradient.new_zeros(len(across), count, size, size)
        grids[:, 0, size // 2 + kx, size // 2 + ky] = gradient
        if moved:
            along_x, along_y = 0.5j * kx * gradient, 0.5j * ky * gradient
            grids[:, 1, size // 2 + kx, size // 2 + ky] += along_x + 1j * along_y
            grids[:, 1, size // 2 - kx, size // 2 - ky] += along_x.conj() + 1j * along_y.conj()
        of_points = gradient.new_empty(len(across), count, across.shape[-1])

        def sum_coefficients(frames: range) -> None:
            plan = _plan(2, size, count, 1, amplitude)
            for frame in frames:
                plan.setpts(*across[frame].numpy())
                plan.execute(grids[frame].squeeze(0).numpy(), of_points[frame].squeeze(0).numpy())

        _share_out(sum_coefficients, len(across))
        of_position = None
        if moved:
            of_position = (
                torch.stack((of_points[:, 1].real, of_points[:, 1].imag), dim=1) * amplitude[:, None]
            )
        return of_position, of_points[:, 0].real.contiguous(), None, None


def _modes(kx: Tensor, ky: Tensor) -> int:
    """Even, and with room for both signs of every frequency."""
    return 2 * (int(torch.maximum(kx.abs().max(), ky.abs().max())) + 1)


def _complex(values: Tensor) -> torch.dtype:
    return torch.complex128 if values.dtype == torch.float64 else torch.complex64


def _plan(kind: int, size: int, transforms: int, sign: int, amplitude: Tensor) -> finufft.Plan:
    # Points come in the order of a lattice: sorting them costs more than it saves.
    settings = {"nthreads": 1, "spread_sort": 0, "upsampfac": 2.0}
    dtype = str(_complex(amplitude)).removeprefix("torch.")
    return finufft.Plan(kind, (size, size), transforms, _PRECISION, sign, dtype, **settings)


def _share_out(work: Callable[[range], None], frames: int) -> None:
    # Not even one part is done by the thread that calls: a Ctrl-C there, while arguments are passed to the
    # library, would come out as an error of ctypes.
    threads = max(1, min(torch.get_num_threads(), frames))
    length = max(1, math.ceil(frames / threads))
    parts = [range(start, min(start + length, frames)) for start in range(0, frames, length)]
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, parts))

"""Sums over points, against the same sums term by term and against projections by another program's rules."""

import math
import threading
from typing import Any

import pytest
import torch

from temporem.physics import nonuniform
from temporem.physics.lattice import half_disc
from temporem.physics.points import point_slices, point_volume, spread_slices

BOX = 24


def rms(values: torch.Tensor) -> float:
    return float(values.abs().square().mean().sqrt())


def points(count: int, dimensions: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    position = torch.randn(count, dimensions, generator=generator, dtype=torch.float64) * BOX / 10
    return position, torch.randn(count, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("radius", [3, 7, BOX // 2])
def test_slices_are_the_sums(radius: int) -> None:
    position, amplitude = points(40, 2)
    frequency = half_disc(BOX, radius).frequency
    phase = 2 * math.pi / BOX * frequency.double() @ position.T
    expected = (torch.exp(-1j * phase) @ (amplitude + 0j)) / BOX
    found = point_slices(position.mT[None].float(), amplitude.float(), frequency, BOX)[0]
    assert rms(found - expected) < 1e-3 * rms(expected)


def test_points_beyond_the_box_come_in_on_the_other_side() -> None:
    position, amplitude = points(10, 2)
    frequency = half_disc(BOX).frequency
    beside = point_slices((position + BOX).mT[None].float(), amplitude.float(), frequency, BOX)
    assert torch.allclose(
        beside, point_slices(position.mT[None].float(), amplitude.float(), frequency, BOX), atol=1e-4
    )


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize("of_each_frame", [True, False])
def test_gradients_are_of_the_sums(moved: bool, of_each_frame: bool) -> None:
    """Of several frames, of a real function that weights every coefficient differently."""
    position, amplitude = points(60, 2)
    if of_each_frame:
        amplitude = torch.stack((amplitude, -amplitude, amplitude.flip(0)))
    position = torch.stack((position, position.flip(0) + 1, -position)).mT
    frequency = half_disc(BOX, 7).frequency.double()
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(3, len(frequency), generator=generator, dtype=torch.complex128)

    def exact(position: torch.Tensor, amplitude: torch.Tensor, _: torch.Tensor, box: int) -> torch.Tensor:
        phase = 2 * math.pi / box * (position.mT @ frequency.T)
        return ((amplitude + 0j)[..., None, :] @ torch.exp(-1j * phase))[:, 0] / box

    gradients = []
    for function in (exact, point_slices):
        inputs = (position.clone().requires_grad_(moved), amplitude.clone().requires_grad_())
        value = (function(*inputs, frequency, BOX) * weight).real.square().sum()
        gradients.append(torch.autograd.grad(value, [x for x in inputs if x.requires_grad]))
    for expected, found in zip(*gradients, strict=True):
        assert rms(found - expected) < 2e-3 * rms(expected)


@pytest.mark.parametrize("of_each_frame", [True, False])
def test_gradients_in_tensor_operations(of_each_frame: bool) -> None:
    position, amplitude = points(2, 2)
    if of_each_frame:
        amplitude = amplitude[None]
    kx, ky = half_disc(BOX, 2).frequency.long().unbind(-1)
    inputs = (position.mT[None].clone().requires_grad_(), amplitude.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda x, a: spread_slices(x, a, kx, ky, BOX), inputs)


def test_tensor_operations_agree_with_finufft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients, of frames that have amplitudes of their own, one frame at a time."""
    monkeypatch.setattr("temporem.physics.points._POINTS_AT_ONCE", 200)
    position, amplitude = points(200, 2)
    frames = (position.mT * torch.tensor([0.6, 1.0, 1.4])[:, None, None]).float()
    own = torch.stack((amplitude, -amplitude.flip(0), amplitude.square())).float()
    frequency = half_disc(BOX, 9).frequency
    weight = torch.randn(3, len(frequency), generator=torch.Generator().manual_seed(2), dtype=torch.complex64)
    told = []
    for slices in (
        lambda *x: point_slices(*x, frequency, BOX),
        lambda *x: spread_slices(*x, *frequency.long().unbind(-1), BOX),
    ):
        inputs = (frames.clone().requires_grad_(), own.clone().requires_grad_())
        found = slices(*inputs)
        told.append((found.detach(), *torch.autograd.grad((found * weight).real.sum(), inputs)))
    # The slope of a kernel four points wide is less exact than the kernel.
    for expected, found, most in zip(*told, (2e-3, 5e-3, 2e-3), strict=True):
        assert rms(found - expected) < most * rms(expected)


def test_same_bits_on_any_number_of_threads() -> None:
    position, amplitude = points(500, 2)
    frames = position.mT * torch.linspace(0.5, 1.5, 7)[:, None, None]
    found = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        inputs = (frames.float().requires_grad_(), amplitude.float().requires_grad_())
        sums = point_slices(*inputs, half_disc(BOX).frequency, BOX)
        found.append((sums, *torch.autograd.grad(sums.abs().square().sum(), inputs)))
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_volume_is_of_gaussians() -> None:
    """Wide enough not to feel that frequencies beyond Nyquist are left out, far enough from the edge."""
    position, amplitude = points(6, 3)
    width = 1.4
    axis = torch.arange(BOX) - BOX // 2
    profile = torch.exp(-((axis - position[..., None]) ** 2) / (2 * width**2)) / (
        width * math.sqrt(2 * math.pi)
    )
    expected = torch.einsum("p,px,py,pz->zyx", amplitude, *profile.unbind(1))
    found = point_volume(position.float(), amplitude.float(), BOX, width)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()
    assert float(found.sum()) == pytest.approx(
        float(amplitude.sum()), abs=1e-3 * float(amplitude.abs().sum())
    )


def test_slices_are_projections_of_the_volume() -> None:
    position, amplitude = points(30, 3, seed=1)
    disc = half_disc(BOX, BOX // 2 - 1)
    volume = point_volume(position.float(), amplitude.float(), BOX)
    expected = disc.from_images(volume.sum(0))
    found = point_slices(position[:, :2].mT[None].float(), amplitude.float(), disc.frequency, BOX)[0]
    assert rms(found - expected) < 2e-3 * rms(expected)


def test_the_caller_is_never_inside_the_library_where_ctrl_c_becomes_an_error_of_ctypes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []

    def noting(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return plan(*arguments)

    plan = nonuniform._plan
    monkeypatch.setattr(nonuniform, "_plan", noting)
    amplitude = torch.ones(3, requires_grad=True)
    k = torch.arange(3)
    nonuniform.point_sums(torch.zeros(1, 2, 3), amplitude, k, k).abs().sum().backward()
    assert len(threads) == 2
    assert threading.current_thread() not in threads

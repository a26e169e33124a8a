import pytest
import torch
from cases import BOX, anchor_generator, fourier_generator, normal, transform, turns

from temporem.model import fourier_generator as module
from temporem.physics.lattice import half_disc
from temporem.physics.projection import slice_coordinates
from temporem.physics.rotations import random_rotations
from temporem.physics.volumes import grid_frequency, volume_to_fourier

ENCODINGS = pytest.mark.parametrize("encoding", ["positional", "gaussian"])


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda device: False)


@ENCODINGS
def test_coefficients_at_opposite_points_are_conjugate(encoding: str) -> None:
    generator = fourier_generator(encoding)
    z = normal(3, 2)
    # Also in the planes and on the axes where only the signs of the last coordinates differ.
    k = 3 * normal(3, 20, 3, seed=1) * (normal(3, 20, 3, seed=2) > -0.3)
    at, opposite = generator.coefficients(z, k), generator.coefficients(z, -k)
    assert torch.equal(at, opposite.conj())
    assert at.abs().min() > 0


@ENCODINGS
def test_the_coefficient_at_the_origin_is_real(encoding: str) -> None:
    origin = fourier_generator(encoding).coefficients(normal(4, 2), torch.zeros(4, 1, 3))
    assert torch.equal(origin.imag, torch.zeros(4, 1))
    assert (origin.real != 0).all()


@ENCODINGS
def test_slices_are_those_of_the_volumes_where_lattices_meet(encoding: str) -> None:
    generator = fourier_generator(encoding)
    lattice = half_disc(BOX)
    rotation = turns()
    z = normal(1, 2).expand(len(rotation), -1)
    with torch.no_grad():
        slices = generator.slices(z, rotation, lattice.frequency)
    (volume,) = generator.volumes(z[:1])
    expected = transform(volume[None], slice_coordinates(rotation, lattice.frequency).flatten(0, 1))
    torch.testing.assert_close(slices, expected.reshape(slices.shape).to(slices.dtype), atol=1e-5, rtol=0)
    projected = lattice.from_images(volume.sum(0))
    torch.testing.assert_close(slices[0], projected, atol=1e-5, rtol=0)


def test_volumes_hold_nothing_beyond_the_ball() -> None:
    grid = volume_to_fourier(fourier_generator().volumes(normal(2, 2)))
    beyond = grid_frequency(BOX).norm(dim=-1) > BOX // 2
    assert grid[:, beyond].abs().max() < 1e-5 < 1e-2 < grid[:, ~beyond].abs().mean()


def test_states_in_a_batch_do_not_touch_each_other_and_parts_make_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator, z = fourier_generator(), normal(3, 2)
    together = generator.volumes(z)
    monkeypatch.setattr(module, "_EVALUATIONS_AT_ONCE", 100)
    alone = torch.cat([generator.volumes(state[None]) for state in z])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_amplitude_scales_shells_and_is_linear_between_them() -> None:
    generator, z = fourier_generator(), normal(1, 2)
    direction = torch.nn.functional.normalize(normal(3, seed=4), dim=0)
    radius = torch.tensor([0.0, 2.0, 2.25, 6.0, 7.5])
    k = (radius[:, None] * direction)[None]
    before = generator.coefficients(z, k)
    amplitude = torch.tensor([5.0, 4.0, 8.0, 2.0, 1.0, 3.0, 7.0])
    generator.scale_to(amplitude)
    expected = torch.tensor([5.0, 8.0, 6.5, 7.0, 7.0])
    torch.testing.assert_close(generator.coefficients(z, k), expected * before, atol=1e-4, rtol=1e-4)


def test_starts_as_its_base_and_then_adds_to_it() -> None:
    base, z = anchor_generator(), normal(4, 2)
    generator = fourier_generator(base=base)
    rotation, frequency = random_rotations(4, torch.Generator().manual_seed(0)), half_disc(BOX).frequency
    assert torch.equal(generator.slices(z, rotation, frequency), base.slices(z, rotation, frequency))
    assert torch.equal(generator.volumes(z), base.volumes(z))

    alone = fourier_generator()
    generator.output.load_state_dict(alone.output.state_dict())
    slices = alone.slices(z, rotation, frequency) + base.slices(z, rotation, frequency)
    torch.testing.assert_close(generator.slices(z, rotation, frequency), slices, atol=1e-5, rtol=0)
    torch.testing.assert_close(generator.volumes(z), alone.volumes(z) + base.volumes(z), atol=1e-5, rtol=0)


def test_the_base_is_not_trained() -> None:
    base = anchor_generator()
    own, based = fourier_generator(), fourier_generator(base=base)
    assert {name for name, _ in based.named_parameters()} == {name for name, _ in own.named_parameters()}


def test_gradients_reach_states_and_weights() -> None:
    generator = fourier_generator()
    z = normal(2, 2).requires_grad_()
    rotation, frequency = turns()[:2], half_disc(BOX).frequency
    torch.view_as_real(generator.slices(z, rotation, frequency)).square().sum().backward()
    gradients = [z.grad, *(p.grad for p in generator.parameters())]
    assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in gradients)


def test_bfloat16_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, z = fourier_generator(), normal(2, 2)
    rotation, frequency = turns()[:2], half_disc(BOX).frequency
    full = generator.slices(z, rotation, frequency)
    monkeypatch.setattr(module, "has_bfloat16", lambda device: True)
    half = generator.slices(z, rotation, frequency)
    assert half.dtype == full.dtype
    assert 0 < (half - full).norm() < 0.03 * full.norm()

import pytest
import torch
from cases import BOX, anchor_generator, fourier_generator, normal, seeded

from temporem.model import anchor_generator as module
from temporem.model.anchor_generator import AnchorGenerator
from temporem.physics.lattice import half_disc
from temporem.physics.projection import central_slices
from temporem.physics.rotations import random_rotations
from temporem.physics.volumes import grid_frequency, gridding_correction, volume_to_fourier

FREQUENCY = half_disc(BOX).frequency


def test_slices_are_central_slices_of_its_volumes() -> None:
    generator, z = anchor_generator(), normal(5, 2)
    rotation = random_rotations(5, seeded())
    grids = volume_to_fourier(generator.volumes(z) / gridding_correction(BOX, 2), 2)
    expected = central_slices(grids, rotation, FREQUENCY, 2)
    torch.testing.assert_close(generator.slices(z, rotation, FREQUENCY), expected, atol=1e-5, rtol=1e-5)


def test_slices_are_transforms_of_projections_of_a_smooth_molecule() -> None:
    """Gaussians of σ = 1.3 px, whose transform is known at every k; near the centre, so it fits the box."""
    n, sigma = 20, 1.3
    generator = AnchorGenerator(n, 2, 2)
    positions = 1.5 * normal(2, 6, 3)
    axis = torch.arange(n) - n // 2
    x, y, z = torch.exp(-((axis - positions[..., None]) ** 2) / (2 * sigma**2)).unbind(2)
    generator.place(normal(2, 2, seed=1), torch.einsum("vaz,vay,vax->vzyx", z, y, x), torch.eye(2), 1.0)
    lattice, rotation, states = half_disc(n), random_rotations(4, seeded()), normal(4, 2, seed=2)
    k = torch.einsum("fji,cj->fci", rotation, torch.nn.functional.pad(lattice.frequency, (0, 1)))
    waves = torch.exp(-2j * torch.pi / n * torch.einsum("fci,vai->fvca", k, positions)).sum(-1)
    blob = (2 * torch.pi * sigma**2) ** 1.5 * torch.exp(-2 * (torch.pi * sigma / n) ** 2 * (k**2).sum(-1)) / n
    expected = torch.einsum("fv,fvc->fc", generator.weights(states) + 0j, waves) * blob
    found = generator.slices(states, rotation, lattice.frequency)
    assert (found - expected).norm() < 0.015 * expected.norm()


def test_weights_sum_to_one_and_follow_the_metric() -> None:
    generator, z = anchor_generator(), 2 * normal(7, 2)
    weights = generator.weights(z)
    torch.testing.assert_close(weights.sum(-1), torch.ones(7))
    for state, row in zip(z, weights, strict=True):
        steps = [state - anchor for anchor in generator.anchors]
        kernel = torch.stack([torch.exp(-0.5 * step @ generator.metric @ step / 0.8**2) for step in steps])
        torch.testing.assert_close(row, kernel / kernel.sum(), atol=1e-5, rtol=1e-4)


def test_states_far_from_all_anchors_have_weights_too() -> None:
    weights = anchor_generator().weights(torch.full((1, 2), 1e3))
    torch.testing.assert_close(weights.sum(-1), torch.ones(1))


def test_narrow_weights_give_the_anchors_volumes_back() -> None:
    generator = anchor_generator()
    generator.place(generator.anchors, generator.volumes_at_anchors, generator.metric, 0.01)
    torch.testing.assert_close(generator.volumes(generator.anchors), generator.volumes_at_anchors)


def test_what_is_placed_or_loaded_is_what_is_sliced() -> None:
    first, second, z = anchor_generator(0), anchor_generator(5), normal(4, 2)
    rotation = random_rotations(4, seeded())
    expected = second.slices(z, rotation, FREQUENCY)
    assert not torch.allclose(first.slices(z, rotation, FREQUENCY), expected)
    first.load_state_dict(second.state_dict())
    assert torch.equal(first.slices(z, rotation, FREQUENCY), expected)

    third = anchor_generator(7)
    third.slices(z, rotation, FREQUENCY)
    third.place(second.anchors, second.volumes_at_anchors, second.metric, second.bandwidth.item())
    assert torch.equal(third.slices(z, rotation, FREQUENCY), expected)


def test_loading_a_network_loads_what_its_base_slices() -> None:
    network, other, z = (
        fourier_generator(base=anchor_generator(0)),
        fourier_generator(base=anchor_generator(5)),
        normal(4, 2),
    )
    rotation = random_rotations(4, seeded())
    network.slices(z, rotation, FREQUENCY)
    network.load_state_dict(other.state_dict())
    assert torch.equal(network.slices(z, rotation, FREQUENCY), other.slices(z, rotation, FREQUENCY))


@pytest.fixture
def in_a_large_box(monkeypatch: pytest.MonkeyPatch) -> tuple[AnchorGenerator, torch.Tensor]:
    """Volumes that differ in the frequencies of a box of 8, |k| < 4, of 12; and the one that all share."""
    monkeypatch.setattr(module, "LARGEST_STATE_BOX", 8)
    generator = AnchorGenerator(BOX, 2, 3)
    shared = normal(BOX, BOX, BOX)
    anchors, metric = normal(3, 2, seed=1), torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    generator.place(anchors, normal(3, 8, 8, 8, seed=2), metric, 0.8, shared)
    return generator, shared


def test_in_large_boxes_high_frequencies_are_those_all_states_share(
    in_a_large_box: tuple[AnchorGenerator, torch.Tensor],
) -> None:
    generator, shared = in_a_large_box
    z = normal(5, 2)
    found, given = volume_to_fourier(generator.volumes(z)), volume_to_fourier(shared)
    low = volume_to_fourier(torch.einsum("sa,azyx->szyx", generator.weights(z), generator.volumes_at_anchors))
    within = (grid_frequency(BOX).abs() < 4).all(dim=-1)
    torch.testing.assert_close(found[:, ~within], given[~within].expand(5, -1), atol=1e-4, rtol=1e-4)
    inner = (grid_frequency(8).abs() < 4).all(dim=-1)
    # Both grids list the frequencies in the order of `rfftn`.
    torch.testing.assert_close(found[:, within], low[:, inner], atol=1e-4, rtol=1e-4)


def test_in_large_boxes_slices_are_those_of_the_volumes(
    in_a_large_box: tuple[AnchorGenerator, torch.Tensor],
) -> None:
    """Of a smooth molecule: what lies at the border of low and high frequencies is cut in two by neither."""
    generator, _ = in_a_large_box
    axis = torch.arange(BOX) - BOX // 2
    blob = torch.exp(-(axis**2) / 4.5)
    shared = blob[:, None, None] * blob[:, None] * blob
    generator.fill(shared)
    torch.testing.assert_close(
        generator.volumes(normal(2, 2)), shared.expand(2, -1, -1, -1), atol=1e-5, rtol=0
    )
    rotation = random_rotations(6, seeded())
    grid = volume_to_fourier(shared / gridding_correction(BOX, 2), 2)
    expected = central_slices(grid, rotation, FREQUENCY, 2)
    found = generator.slices(normal(6, 2), rotation, FREQUENCY)
    assert (found - expected).norm() < 0.01 * expected.norm()
    order = torch.randperm(len(FREQUENCY), generator=seeded())[:20]
    torch.testing.assert_close(generator.slices(normal(6, 2), rotation, FREQUENCY[order]), found[:, order])


def test_large_boxes_are_saved_and_loaded_with_what_they_share(
    in_a_large_box: tuple[AnchorGenerator, torch.Tensor],
) -> None:
    generator, _ = in_a_large_box
    other = AnchorGenerator(BOX, 2, 3)
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other.volumes(normal(2, 2)), generator.volumes(normal(2, 2)))


def test_gradient_in_the_states() -> None:
    generator = anchor_generator().double()
    rotation = random_rotations(2, seeded()).double()
    z = normal(2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: generator.slices(z, rotation, FREQUENCY[:9].double()), z)

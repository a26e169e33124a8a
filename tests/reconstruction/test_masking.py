import numpy as np
import pytest
import torch
from moving_molecule import BOX, PIXEL_SIZE, back_project, sample

from temporem.errors import UserError
from temporem.reconstruction.masking import soft_edge, solvent_level, solvent_mask


@pytest.mark.parametrize("snr", [0.1, 0.3])
def test_every_state_of_a_moving_molecule_lies_within(snr: float) -> None:
    data = sample(frames=800, snr=snr)
    consensus = back_project(data, data.ctf)
    mask = solvent_mask(consensus, PIXEL_SIZE)
    inside = (data.volumes * mask).sum(dim=(1, 2, 3)) / data.volumes.sum(dim=(1, 2, 3))
    assert inside.min() > 0.99
    assert mask.mean() < 0.3
    assert mask.min() == 0
    assert mask.max() == 1


def test_two_bodies_apart_are_both_kept_and_specks_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    axis = torch.arange(BOX) - BOX // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    large = torch.exp(-((x + 12) ** 2 + y**2 + z**2) / 18)
    small = 0.3 * torch.exp(-((x - 12) ** 2 + y**2 + z**2) / 8)
    speck = 0.5 * ((x == 0) & (y == 15) & (z == 0))
    mask = solvent_mask(large + small + speck + 0.03 * torch.randn(x.shape, generator=generator), PIXEL_SIZE)
    centre = BOX // 2
    assert mask[centre, centre, centre - 12] == 1
    assert mask[centre, centre, centre + 12] == 1
    assert mask[centre, centre + 15, centre] == 0


def test_the_mask_does_not_depend_on_scale_or_offset() -> None:
    data = sample(frames=400, snr=0.3)
    consensus = back_project(data, data.ctf)
    mask = solvent_mask(consensus, PIXEL_SIZE)
    torch.testing.assert_close(solvent_mask(40 * consensus + 3, PIXEL_SIZE), mask, atol=0.05, rtol=0)


def test_a_constant_volume_has_no_molecule() -> None:
    with pytest.raises(UserError, match="rises out of the noise"):
        solvent_mask(torch.ones(16, 16, 16), PIXEL_SIZE)


def test_the_edge_is_one_within_the_dilation_and_falls_smoothly_to_zero() -> None:
    inside = np.zeros((1, 1, 21), dtype=bool)
    inside[..., 10] = True
    edge = soft_edge(inside, 2.0, 4.0)[0, 0]
    np.testing.assert_array_equal(edge, edge[::-1])
    np.testing.assert_allclose(
        edge[10:], np.r_[1, 1, 1, (0.5 + 0.5 * np.cos(np.pi * np.arange(1, 5) / 4)), np.zeros(4)]
    )


def test_the_solvent_is_found_beside_a_molecule_of_a_third_of_the_voxels() -> None:
    generator = np.random.default_rng(0)
    values = np.r_[2 + 0.5 * generator.standard_normal(60_000), 4 + 5 * generator.random(30_000)]
    level, spread = solvent_level(values)
    assert level == pytest.approx(2, abs=0.1)
    assert spread == pytest.approx(0.5, rel=0.15)

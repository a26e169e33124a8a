import numpy as np
import pytest
import torch

from temporem.physics.rotations import angular_distance
from temporem.simulation.acquisition import (
    draw_contrast_transfer,
    draw_lengths,
    draw_presence,
    draw_rotations,
    draw_translations,
)
from temporem.simulation.options import MicroscopeOptions, PoseOptions


def test_lengths_span_the_range_asked_for() -> None:
    lengths = draw_lengths(500, 9, 5, np.random.default_rng(0))
    assert set(lengths) == {5, 6, 7, 8, 9}
    assert (draw_lengths(3, 9, None, np.random.default_rng(0)) == 9).all()


def test_frames_go_missing_at_the_rate_asked_for_but_two_of_each_movie_stay() -> None:
    lengths = np.full(400, 20)
    present = draw_presence(lengths, 0.25, np.random.default_rng(0)).reshape(400, 20)
    assert present.mean() == pytest.approx(0.75, abs=0.02)
    assert draw_presence(lengths, 0.0, np.random.default_rng(0)).all()
    scarce = draw_presence(lengths, 0.999, np.random.default_rng(0)).reshape(400, 20)
    assert scarce.sum(1).min() == 2


def test_tumbling_by_diffusion_moves_as_far_as_the_coefficient_says() -> None:
    lengths = np.array([2, 7, 7] * 200)
    options = PoseOptions(tumbling="diffusion", rotational_diffusion=0.01)
    rotation = draw_rotations(lengths, options, torch.Generator().manual_seed(0))
    assert rotation.shape == (lengths.sum(), 3, 3)
    first = np.cumsum(lengths) - lengths
    step = angular_distance(rotation[first], rotation[first + 1])
    # Three axes, each of variance 2 D a frame.
    assert step.square().mean().item() == pytest.approx(6 * 0.01, rel=0.1)
    assert angular_distance(rotation[first[:-1]], rotation[first[1:]]).mean() > 1.5


def test_uniform_tumbling_is_uniform() -> None:
    rotation = draw_rotations(np.full(1000, 4), PoseOptions(), torch.Generator().manual_seed(0))
    assert rotation.mean(0).abs().max() < 0.04
    # The mean angle of uniform rotations is π / 2 + 2 / π.
    identity = torch.eye(3).expand_as(rotation)
    assert angular_distance(identity, rotation).mean().item() == pytest.approx(
        np.pi / 2 + 2 / np.pi, abs=0.03
    )


def test_shifts_have_the_spread_asked_for() -> None:
    shifts = draw_translations(5000, PoseOptions(shift_sd_in_angstroms=4.0), torch.Generator().manual_seed(0))
    assert shifts.std(0).tolist() == pytest.approx([4.0, 4.0], rel=0.05)


def test_a_movie_has_one_ctf_within_the_ranges() -> None:
    options = MicroscopeOptions(defocus_in_micrometres=(0.8, 1.2), astigmatism_in_micrometres=0.1)
    ctf = draw_contrast_transfer(np.array([3] * 300), options, np.random.default_rng(0))
    assert ctf is not None
    u, v = (x.reshape(300, 3) for x in (ctf.defocus_u_in_angstroms, ctf.defocus_v_in_angstroms))
    assert (u == u[:, :1]).all()
    mean, difference = (u + v)[:, 0] / 2, (u - v)[:, 0]
    assert 8000 <= mean.min() < 8100
    assert 11900 < mean.max() <= 12000
    assert difference.min() >= 0
    assert 900 < difference.max() <= 1000
    assert (
        draw_contrast_transfer(np.array([3]), MicroscopeOptions(ctf=False), np.random.default_rng(0)) is None
    )

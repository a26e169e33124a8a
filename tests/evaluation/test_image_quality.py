import numpy as np
import pytest
import torch

from temporem.evaluation.image_quality import low_pass, match_gain_and_offset, psnr_in_decibels, ssim


def wave(k, box=48):
    phase = 2 * torch.pi * k * torch.arange(box) / box
    return torch.cos(phase).expand(box, box, box).contiguous()


@pytest.mark.parametrize(("k", "gain"), [(0, 1.0), (15, 1.0), (16, 0.5), (17, 0.0), (20, 0.0)])
def test_the_low_pass_is_half_at_three_pixels(k, gain):
    torch.testing.assert_close(low_pass(wave(k)), gain * wave(k), atol=1e-4, rtol=0)


def test_gain_and_offset_are_undone():
    truth = torch.randn(12, 12, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(match_gain_and_offset(7 - 3 * truth, truth), truth, atol=1e-5, rtol=0)


def test_gain_is_least_squares():
    truth, noise = torch.randn(2, 24, 24, 24, generator=torch.Generator().manual_seed(0))
    estimate = truth + noise
    design = np.stack([estimate.numpy().ravel(), np.ones(24**3)], axis=1)
    solution = np.linalg.lstsq(design, truth.numpy().ravel())[0]
    np.testing.assert_allclose(
        match_gain_and_offset(estimate, truth).numpy().ravel(), design @ solution, atol=1e-5
    )


def test_psnr_of_a_known_error():
    truth = torch.zeros(10, 10, 10)
    truth[5] = 2.0
    assert psnr_in_decibels(truth + 0.02, truth) == pytest.approx(40.0, abs=1e-3)


def test_a_perfect_volume_has_a_finite_psnr_and_ssim_of_one():
    truth = torch.randn(10, 10, 10, generator=torch.Generator().manual_seed(0))
    assert 100 < psnr_in_decibels(truth, truth) < 200
    assert ssim(truth, truth) == pytest.approx(1.0)


def test_a_constant_volume_matches_only_the_mean():
    truth = torch.randn(10, 10, 10, generator=torch.Generator().manual_seed(0))
    matched = match_gain_and_offset(torch.ones(10, 10, 10), truth)
    torch.testing.assert_close(matched, truth.mean().expand(10, 10, 10))

from dataclasses import replace

import pytest
import torch
from moving_molecule import BOX, Sample, back_project, error, sample

from temporem.errors import UserError
from temporem.physics.projection import central_slices
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import gridding_correction, volume_to_fourier
from temporem.reconstruction.backprojection import (
    Accumulator,
    accumulate,
    grid_shells,
    signal_power,
    wiener,
)
from temporem.reconstruction.masking import solvent_mask


@pytest.fixture(scope="module")
def noisy() -> Sample:
    return sample(frames=600, snr=0.1, states=6)


def sums(data: Sample, weight: torch.Tensor | None = None) -> Accumulator:
    return accumulate(data.coefficients, data.ctf, *data.pose(), weight)


def shell_power(volume: torch.Tensor) -> torch.Tensor:
    shell, power = grid_shells(BOX, 2), volume_to_fourier(volume, 2).abs() ** 2
    total, count = torch.zeros(BOX), torch.zeros(BOX)
    inside = shell < BOX
    total.index_add_(0, shell[inside], power[inside])
    count.index_add_(0, shell[inside], torch.ones_like(power)[inside])
    return (total / count)[: BOX // 2 + 1]


@pytest.mark.parametrize("with_ctf", [False, True])
def test_a_still_molecule_without_noise_comes_back_in_its_place_and_scale(with_ctf: bool) -> None:
    data = sample(frames=700, snr=1e4, states=1, with_ctf=with_ctf)
    volume = back_project(data, data.ctf if with_ctf else None)
    assert error(volume, data.volumes[0]) < 0.003


def test_slices_of_the_volume_predict_frames_that_had_no_part_in_it() -> None:
    data = sample(frames=900, snr=0.3, states=1)
    fitted = (torch.arange(900) < 800).float()
    volume = back_project(data, data.ctf, fitted)
    volume = volume * solvent_mask(volume, 4.0)
    grid = volume_to_fourier(volume / gridding_correction(BOX, 2), 2)
    rows = slice(800, 900)
    shift = phase_shift(data.half_disc.frequency, data.translation_in_pixels[rows], BOX)
    slices = data.ctf[rows] * shift * central_slices(grid, data.rotation[rows], data.half_disc.frequency, 2)
    left = (data.coefficients[rows] - slices).abs().square().mean() / data.noise_variance[0]
    assert left == pytest.approx(1, abs=0.02)


def test_sums_are_linear_in_the_weights(noisy: Sample) -> None:
    weight = torch.rand(len(noisy.state), generator=torch.Generator().manual_seed(1))
    even = (torch.arange(len(weight)) % 2 == 0).float()
    whole = sums(noisy, weight)
    parts = sums(noisy, weight * even) + sums(noisy, weight * (1 - even))
    scale = whole.denominator.max()
    torch.testing.assert_close(parts.denominator / scale, whole.denominator / scale, atol=1e-5, rtol=0)
    scale = whole.numerator.abs().max()
    torch.testing.assert_close(parts.numerator / scale, whole.numerator / scale, atol=1e-5, rtol=0)


def test_weighting_all_frames_alike_is_no_weighting(noisy: Sample) -> None:
    torch.testing.assert_close(
        sums(noisy, torch.ones(len(noisy.state))).numerator, sums(noisy).numerator, atol=0, rtol=0
    )


def test_frames_of_weight_zero_are_never_touched(noisy: Sample) -> None:
    spoiled = replace(noisy, coefficients=noisy.coefficients.clone())
    spoiled.coefficients[::3] = torch.nan
    weight = (torch.arange(len(spoiled.state)) % 3 > 0).float()
    volume = back_project(spoiled, spoiled.ctf, weight)
    assert volume.isfinite().all()


def test_weights_choose_the_state(noisy: Sample) -> None:
    first, last = (back_project(noisy, noisy.ctf, (noisy.state == state).float()) for state in (0, 5))
    assert error(first, noisy.volumes[0]) < 0.7 * error(first, noisy.volumes[5])
    assert error(last, noisy.volumes[5]) < 0.7 * error(last, noisy.volumes[0])


def test_the_true_power_is_the_best_prior(noisy: Sample) -> None:
    mean, total = noisy.volumes.mean(dim=0), sums(noisy)
    power = shell_power(mean)
    errors = {factor: error(wiener(total, factor * power), mean) for factor in (0.25, 1, 4)}
    assert min(errors, key=lambda factor: errors[factor]) == 1


def test_the_mask_lowers_the_error_by_more_than_multiplying_with_it(noisy: Sample) -> None:
    mean, total = noisy.volumes.mean(dim=0), sums(noisy)
    power = shell_power(mean)
    plain = wiener(total, power)
    mask = solvent_mask(plain, 4.0)
    assert error(wiener(total, power, mask), mean) < error(plain * mask, mean) < error(plain, mean)


def test_power_from_half_sets_is_that_of_the_volume(noisy: Sample) -> None:
    along = torch.arange(len(noisy.state)) // 6 % 2
    pairs = (
        (
            sums(noisy, ((noisy.state == s) & (along == 0)).float()),
            sums(noisy, ((noisy.state == s) & (along == 1)).float()),
        )
        for s in range(6)
    )
    power = signal_power(pairs, BOX // 2 + 1)
    true = torch.stack([shell_power(v) for v in noisy.volumes]).mean(dim=0)
    assert ((power / true)[1:12] - 1).abs().max() < 0.3
    # Extrapolated: the noise there, were it taken for signal, would be a thousandfold.
    assert (power > 0).all()
    assert ((power / true)[12:].log() < 2.5).all()


def test_pure_noise_has_no_power() -> None:
    data = sample(frames=200, snr=1e-8)
    with pytest.raises(UserError, match="nothing in common"):
        back_project(data, data.ctf)

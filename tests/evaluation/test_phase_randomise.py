import torch

from temporem.evaluation.fsc import fourier_shell_correlation
from temporem.evaluation.phase_randomise import first_randomised_shell, randomise_phases


def test_amplitudes_stay_and_phases_beyond_the_shell_go():
    volume = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(0))
    randomised = randomise_phases(volume, 6, torch.Generator().manual_seed(1))
    fsc = fourier_shell_correlation(volume, randomised)
    assert fsc[:6].min() > 0.9999
    # Shells have hundreds of independent coefficients or more.
    assert fsc[6:].abs().max() < 0.15
    torch.testing.assert_close(
        torch.fft.rfftn(randomised).abs(), torch.fft.rfftn(volume).abs(), atol=1e-3, rtol=1e-4
    )


def test_under_a_small_mask_a_smooth_volume_keeps_a_floor_above_zero():
    # What the floor is for: the mask alone carries correlation beyond the last good shell.
    axis = torch.arange(32) - 16
    radius_squared = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    volume = torch.exp(-radius_squared / (2 * 2.0**2))
    mask = torch.exp(-radius_squared / (2 * 2.0**2))
    randomised = randomise_phases(volume, 5, torch.Generator().manual_seed(1))
    assert fourier_shell_correlation(volume, randomised)[6:9].max() < 0.3
    assert fourier_shell_correlation(volume * mask, randomised * mask)[6:9].min() > 0.5


def test_randomises_from_the_first_shell_below_four_fifths_at_latest_half_of_nyquist():
    fsc = torch.tensor([0.1, 0.9, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert first_randomised_shell(fsc) == 2
    assert first_randomised_shell(torch.ones(9)) == 4

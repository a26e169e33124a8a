import numpy as np
import pytest
import torch
from made_movies import movie_set, noise, particle_images

from temporem.movies.noise import CornerNoise, windowed_noise_variance
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.movies.window import circular_window, outside_circle
from temporem.physics.lattice import HalfDisc, half_disc


def by_shell(disc: HalfDisc, coefficients: torch.Tensor) -> np.ndarray:
    power = coefficients.abs().square().mean(dim=0).double()
    return (torch.bincount(disc.shell, power) / torch.bincount(disc.shell)).numpy()


def test_windowed_white_noise_has_the_windows_mean_square_in_every_shell():
    disc, window = half_disc(32), circular_window(32, 14.0, 3.0)
    variance = windowed_noise_variance(torch.ones(32, 32), window, None, disc)
    torch.testing.assert_close(variance, window.square().mean().expand(17))


@pytest.mark.parametrize("subtract", [False, True])
def test_windowed_variance_against_coefficients_of_many_images(subtract):
    disc, window, outside = half_disc(16), circular_window(16, 7.0, 3.0), outside_circle(16, 8.0)
    k = torch.fft.fftfreq(16, 1 / 16)
    power = 1 + 4 / (1 + (k[:, None] ** 2 + k[None, :] ** 2) / 9)
    white = torch.randn(40_000, 16, 16, generator=torch.Generator().manual_seed(2))
    images = torch.fft.ifft2(torch.fft.fft2(white) * power.sqrt()).real
    if subtract:
        images = images - images[:, outside].mean(dim=1)[:, None, None]
    expected = windowed_noise_variance(power, window, outside if subtract else None, disc).numpy()
    # 40,000 images of at least two coefficients each scatter by 0.5 %.
    np.testing.assert_allclose(expected, by_shell(disc, disc.from_images(images * window)), rtol=0.02)


@pytest.mark.parametrize("colour", ["white", "detector", "liquid"])
@pytest.mark.parametrize("particle", [False, True])
def test_chi_square_of_pure_noise_is_one_in_every_shell(colour, particle):
    """The noise found in images of a particle that nearly fills the box is theirs without it."""
    count, box = 800, 64
    gray = 5 * noise(count, box, colour)
    images = gray - 30
    optics = shift = None
    if particle:
        clean, optics, shift = particle_images(count, box, radius_in_pixels=26.0)
        images = images + clean * (5 * np.sqrt(0.3) / clean.std())
    movies = movie_set(images, contrast_transfer=optics, translation_in_angstroms=shift)
    prepared = prepare_frames(movies, PreprocessingOptions())
    outside = outside_circle(box, box / 2)
    pure = torch.from_numpy(gray)
    pure = (pure - pure[:, outside].mean(dim=1)[:, None, None]) / torch.from_numpy(prepared.scale)[
        :, None, None
    ]
    disc = prepared.half_disc
    window = circular_window(box, box / 2, 0.08 * box)
    chi_square = by_shell(disc, disc.from_images(pure * window)) / prepared.noise_variance
    # The noise in the corners of 800 images scatters by 4 % in the first shell, by 1 % in the sixth and on.
    np.testing.assert_allclose(chi_square[1:9], 1, atol=0.08)
    np.testing.assert_allclose(chi_square[9:], 1, atol=0.03)
    assert chi_square[9:].mean() == pytest.approx(1, abs=0.005)
    # The signal found is what the particle left in the coefficients, for which the noise was not taken.
    if particle:
        signal = by_shell(disc, torch.from_numpy(prepared.coefficients)) - prepared.noise_variance
        np.testing.assert_allclose(prepared.signal_power, signal, atol=1e-3)


def test_the_spectrum_is_in_the_units_of_orthonormal_coefficients():
    images = 3 * torch.from_numpy(noise(600, 32, "white"))
    corners = CornerNoise(outside_circle(32, 16.0))
    corners.add(images[:100])
    corners.add(images[100:])
    assert corners.spectrum().mean() == pytest.approx(9, rel=0.02)


def test_no_images_no_spectrum():
    with pytest.raises(ValueError, match="no images"):
        CornerNoise(outside_circle(8, 4.0)).spectrum()

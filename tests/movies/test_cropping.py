import numpy as np
import pytest
import torch

from temporem.movies.cropping import fourier_crop


def band_limited(box: int, field_of_view: float = 1.0) -> torch.Tensor:
    """A sum of waves below the 12th harmonic, sampled with the origin at box // 2."""
    place = (torch.arange(box, dtype=torch.float64) - box // 2) / box * field_of_view
    y, x = place[:, None], place[None, :]
    wave = 3 + torch.cos(2 * np.pi * (5 * x + 3 * y) + 0.7) + 0.5 * torch.sin(2 * np.pi * (11 * y - 2 * x))
    return wave


@pytest.mark.parametrize(("box", "smaller"), [(64, 32), (64, 30), (50, 26)])
def test_crop_samples_the_same_function_more_coarsely(box, smaller):
    cropped = fourier_crop(band_limited(box)[None], smaller)[0]
    torch.testing.assert_close(cropped, band_limited(smaller))


def test_frequencies_beyond_the_smaller_nyquist_are_gone_and_the_mean_stays():
    images = torch.randn(3, 40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 7
    cropped = fourier_crop(images, 20)
    torch.testing.assert_close(cropped.mean(dim=(-2, -1)), images.mean(dim=(-2, -1)))
    assert cropped.var() < images.var() / 3


def test_same_box_is_the_same_image():
    images = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fourier_crop(images, 12), images)


@pytest.mark.parametrize("box", [0, 7, 14])
def test_impossible_boxes(box):
    with pytest.raises(ValueError, match="cannot crop"):
        fourier_crop(torch.zeros(1, 12, 12), box)

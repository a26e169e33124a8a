import torch

from temporem.evaluation.fsc import spectrum
from temporem.evaluation.resampling import fourier_pad


def gaussian(box, edge=32.0, centre=(2.0, -3.0, 1.0), sigma=3.0):
    axis = (torch.arange(box) - box // 2) * edge / box
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2) / (2 * sigma**2))


def test_a_smooth_density_is_the_same_on_the_finer_grid():
    torch.testing.assert_close(fourier_pad(gaussian(16), 32), gaussian(32), atol=2e-3, rtol=0)


def test_shells_beyond_the_old_nyquist_are_empty():
    coarse = torch.randn(8, 8, 8, generator=torch.Generator().manual_seed(0))
    padded = fourier_pad(coarse, 16)
    # Corners of the old cube reach up to √3 of its Nyquist: 5.2.
    power = spectrum(padded).power
    assert power[6:].max() < 1e-9 * power[:6].min()
    torch.testing.assert_close(padded.mean(), coarse.mean())


def test_an_equal_box_is_left_alone():
    volume = gaussian(16)
    assert fourier_pad(volume, 16) is volume

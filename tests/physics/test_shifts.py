import torch

from temporem.physics.lattice import half_disc
from temporem.physics.shifts import phase_shift

BOX = 16


def band_limited_image() -> torch.Tensor:
    disc = half_disc(BOX)
    noise = torch.randn(BOX, BOX, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return disc.to_images(disc.from_images(noise))


def shifted(image: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    disc = half_disc(BOX)
    factor = phase_shift(disc.frequency.double(), translation.double(), BOX)
    return disc.to_images(disc.from_images(image) * factor)


def test_whole_pixels_roll_the_image_along_x_then_y():
    image = band_limited_image()
    moved = shifted(image, torch.tensor([3.0, -2.0]))
    torch.testing.assert_close(moved, image.roll((-2, 3), dims=(0, 1)))


def test_half_a_pixel_twice_is_one_pixel():
    image = band_limited_image()
    half = torch.tensor([0.5, 0.0])
    torch.testing.assert_close(shifted(shifted(image, half), half), image.roll(1, dims=1))


def test_a_gaussian_moves_to_its_new_centre():
    axis = torch.arange(BOX, dtype=torch.float64) - BOX // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    t = torch.tensor([1.3, -0.7], dtype=torch.float64)
    expected = torch.exp(-((x - t[0]) ** 2 + (y - t[1]) ** 2) / (2 * 1.5**2))
    centred = torch.exp(-(x**2 + y**2) / (2 * 1.5**2))
    torch.testing.assert_close(shifted(centred, t), expected, atol=2e-4, rtol=0)


def test_batches_have_one_factor_per_translation_and_coefficient():
    disc = half_disc(BOX)
    translation = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0))
    factor = phase_shift(disc.frequency, translation, BOX)
    assert factor.shape == (2, 3, len(disc))
    torch.testing.assert_close(factor[1, 2], phase_shift(disc.frequency, translation[1, 2], BOX))


def test_autocast_does_not_touch_the_phase():
    disc = half_disc(64)
    translation = torch.tensor([[20.3, -17.9]])
    expected = phase_shift(disc.frequency, translation, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(phase_shift(disc.frequency, translation, 64), expected, atol=0, rtol=0)

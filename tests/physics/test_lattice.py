import pytest
import torch

from temporem.physics.lattice import half_disc


def band_limited_images(box: int, count: int = 3) -> torch.Tensor:
    disc = half_disc(box)
    noise = torch.randn(count, box, box, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return disc.to_images(disc.from_images(noise))


def test_parseval_with_multiplicities():
    disc = half_disc(16)
    images = band_limited_images(16)
    power = (disc.multiplicity * disc.from_images(images).abs() ** 2).sum(dim=-1)
    torch.testing.assert_close(power, (images**2).sum(dim=(-2, -1)))


@pytest.mark.parametrize("box", [2, 6, 16, 30])
def test_images_within_the_disc_return_from_their_coefficients(box):
    disc = half_disc(box)
    images = band_limited_images(box)
    torch.testing.assert_close(disc.to_images(disc.from_images(images)), images)


def test_coefficients_return_from_their_images():
    disc = half_disc(12, radius=4)
    coefficients = torch.randn(
        5, len(disc), dtype=torch.complex128, generator=torch.Generator().manual_seed(0)
    )
    coefficients[:, 0] = coefficients[:, 0].real + 0j
    torch.testing.assert_close(disc.from_images(disc.to_images(coefficients)), coefficients)


def test_each_coefficient_is_the_plain_fourier_sum_about_the_origin():
    box = 8
    disc = half_disc(box)
    image = torch.randn(box, box, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axis = torch.arange(box) - box // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for (kx, ky), coefficient in zip(disc.frequency.double(), disc.from_images(image), strict=True):
        wave = torch.polar(torch.ones_like(image), -2 * torch.pi * (kx * x + ky * y) / box)
        torch.testing.assert_close(coefficient, (image * wave).sum() / box)


def test_white_noise_has_its_pixel_variance_in_every_coefficient():
    disc = half_disc(16)
    noise = 3 * torch.randn(4000, 16, 16, generator=torch.Generator().manual_seed(0))
    power = (disc.from_images(noise).abs() ** 2).mean(dim=0)
    # The mean of 4,000 exponential (at the origin χ²) variates of mean 9: five standard errors.
    assert (power[1:] - 9).abs().max() < 5 * 9 / 4000**0.5
    assert (power[0] - 9).abs() < 5 * 9 * (2 / 4000) ** 0.5


def test_a_prefix_of_the_coefficients_is_a_smaller_half_disc():
    large = half_disc(32)
    for radius in (1, 5, 16):
        small = half_disc(32, radius)
        assert large.count_within(radius) == len(small)
        torch.testing.assert_close(large.frequency[: len(small)], small.frequency)
        assert torch.equal(large.index[: len(small)], small.index)


def test_the_half_disc_and_its_mates_are_the_disc_without_nyquist():
    box = 10
    frequency = half_disc(box).frequency
    both = {tuple(k) for k in torch.cat((frequency, -frequency)).long().tolist()}
    side = range(-box // 2 + 1, box // 2)
    assert both == {(kx, ky) for kx in side for ky in side if kx**2 + ky**2 <= (box // 2) ** 2}
    assert int(half_disc(box).multiplicity.sum()) == len(both)


def test_shells_are_one_fourier_pixel_wide():
    disc = half_disc(20)
    assert (disc.frequency.norm(dim=-1) - disc.shell).abs().max() <= 0.5
    assert disc.shell.unique().tolist() == list(range(11))


@pytest.mark.parametrize(("box", "radius"), [(15, None), (0, None), (-4, None), (16, 9), (16, 0)])
def test_boxes_and_radii_that_cannot_be_are_refused(box, radius):
    with pytest.raises(ValueError, match="must be even"):
        half_disc(box, radius)


def test_a_cropped_lattice_is_that_of_cropped_images():
    """Gray values under Fourier cropping keep their coefficients; here they are simply taken out."""
    disc = half_disc(32)
    cropped = disc.cropped(16)
    expected = half_disc(16)
    assert torch.equal(cropped.frequency, expected.frequency)
    assert torch.equal(cropped.index, expected.index)
    assert torch.equal(cropped.shell, expected.shell)
    assert torch.equal(disc.frequency[: len(cropped)], expected.frequency)
    assert (cropped.box_size, cropped.radius) == (16, 8)
    assert disc.cropped(32) is disc

import math

import pytest
import torch
from torch import Tensor

from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations
from temporem.simulation.central_slice import oversampled_transform
from temporem.simulation.imaging import NoiseColour, clean_images, noise

N = 32
PIXEL_SIZE = 3.0


def gaussian(centre: Tensor, sd: float) -> Tensor:
    """A Gaussian of unit sum on as many axes as `centre` has components; the last one is the first axis."""
    r = torch.arange(N) - N // 2
    image = torch.ones(())
    for component in centre.flip(0):
        image = (
            image[..., None]
            * torch.exp(-((r - component) ** 2) / (2 * sd**2))
            / (sd * math.sqrt(2 * math.pi))
        )
    return image


def contrast(count: int, defocus_in_angstroms: float) -> ContrastTransfer:
    values = (defocus_in_angstroms + 200.0, defocus_in_angstroms - 200.0, 0.4, 300.0, 2.7, 0.1, 0.0, 0.0)
    return ContrastTransfer(*(torch.full((count,), x) for x in values))


def test_images_of_gaussians_are_gaussians_where_the_pose_puts_them() -> None:
    generator = torch.Generator().manual_seed(0)
    # Narrow enough (1.2 px) for a trilinear slicer to be several per cent wrong, wide enough not to alias.
    sd = 1.2
    points = 5 * (torch.rand(6, 3, generator=generator) - 0.5)
    volume = torch.stack([gaussian(p, sd) for p in points]).sum(0)
    rotation = random_rotations(5, generator).float()
    translation = torch.randn(5, 2, generator=generator)
    images = clean_images(oversampled_transform(volume), rotation, translation, None, PIXEL_SIZE)
    for image, a, t in zip(images, rotation, translation, strict=True):
        expected = torch.stack([gaussian((a @ p)[:2] + t, sd) for p in points]).sum(0)
        # What is left is their own power beyond Nyquist: exp(−2 π² 1.2² / 4) = 8e-4 of that at the origin.
        assert (image - expected).norm() < 2e-3 * expected.norm()


def test_without_padding_the_ctf_multiplies_the_transform() -> None:
    volume = gaussian(torch.tensor([2.0, -1.0, 3.0]), 1.5)
    transform, lattice = oversampled_transform(volume), half_disc(N)
    ctf = contrast(1, 15_000.0)
    identity, origin = torch.eye(3)[None], torch.zeros(1, 2)
    plain = clean_images(transform, identity, origin, None, PIXEL_SIZE, padding=1)
    image = clean_images(transform, identity, origin, ctf, PIXEL_SIZE, padding=1)
    factor = contrast_transfer_function(ctf, lattice.frequency / (N * PIXEL_SIZE))
    torch.testing.assert_close(
        lattice.from_images(image), factor * lattice.from_images(plain), rtol=1e-4, atol=1e-6
    )


def test_what_the_ctf_spreads_beyond_the_box_is_lost() -> None:
    transform = oversampled_transform(gaussian(torch.zeros(3), 1.0))
    ctf, identity, origin = contrast(1, 25_000.0), torch.eye(3)[None], torch.zeros(1, 2)
    wrapped, cropped, exact = (
        clean_images(transform, identity, origin, ctf, PIXEL_SIZE, padding=p) for p in (1, 2, 6)
    )
    assert (cropped - exact).norm() < 0.02 * exact.norm()
    assert (wrapped - exact).norm() > 0.1 * exact.norm()
    assert cropped.square().sum() < wrapped.square().sum()


@pytest.mark.parametrize("colour", ["white", "coloured"])
def test_noise_has_the_variance_asked_for(colour: NoiseColour) -> None:
    images = noise(400, N, 2.5, colour, torch.Generator().manual_seed(0))
    assert images.var().item() == pytest.approx(2.5, rel=0.05)
    again = noise(400, N, 2.5, colour, torch.Generator().manual_seed(0))
    assert torch.equal(images, again)


def test_white_noise_is_flat_and_coloured_noise_falls_and_does_not_wrap() -> None:
    lattice = half_disc(N)
    power = {}
    for colour in ("white", "coloured"):
        images = noise(800, N, 1.0, colour, torch.Generator().manual_seed(1))
        spectrum = lattice.from_images(images).abs().square().mean(0)
        power[colour] = torch.stack([spectrum[lattice.shell == s].mean() for s in range(1, N // 2)])
    assert (power["white"] - 1).abs().max() < 0.05
    assert (power["coloured"].diff() < 0.02).all()
    assert power["coloured"][0] > 2 * power["coloured"][-1]
    nearby = (images[:, :, 0] * images[:, :, 1]).mean()
    opposite = (images[:, :, 0] * images[:, :, -1]).mean()
    assert nearby > 0.05
    assert opposite.abs() < 0.2 * nearby

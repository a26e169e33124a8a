import pytest
import torch
from gaussians import correlation, projections_of, volume_of
from torch_fourier_slice import extract_central_slices_rfft_3d

from temporem.physics import projection
from temporem.physics.lattice import HalfDisc, half_disc
from temporem.physics.projection import central_slices, insert_slices, project, slice_coordinates
from temporem.physics.rotations import random_rotations
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import fourier_to_volume, gridding_correction, volume_to_fourier


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotations(*batch: int) -> torch.Tensor:
    return random_rotations(torch.Size(batch).numel(), seeded()).double().reshape(*batch, 3, 3)


def random_volumes(*batch: int, box: int) -> torch.Tensor:
    return torch.randn(*batch, box, box, box, generator=seeded(), dtype=torch.float64)


def random_coefficients(*batch: int, disc: HalfDisc) -> torch.Tensor:
    """Coefficients of real images: the origin's is real."""
    coefficients = torch.randn(*batch, len(disc), generator=seeded(1), dtype=torch.complex128)
    coefficients[..., 0] = coefficients[..., 0].real + 0j
    return coefficients


def grid_multiplicity(grid: torch.Tensor) -> torch.Tensor:
    """How many points of the full grid each of the half grid stands for."""
    multiplicity = torch.full(grid.shape, 2.0, dtype=torch.float64)
    multiplicity[..., 0] = multiplicity[..., -1] = 1
    return multiplicity


class TestAnalyticGaussians:
    box, sigma = 32, 2.0
    positions = 4 * torch.randn(12, 3, generator=seeded(5), dtype=torch.float64).clamp(-2, 2)
    rotation = rotations(6)
    translation = torch.randn(6, 2, generator=seeded(6), dtype=torch.float64)
    volume = volume_of(positions, sigma, box)
    images = projections_of(positions, sigma, box, rotation, translation)

    def error(self, padding: int, corrected: bool = True) -> float:
        """Relative error of images by way of central slices."""
        disc = half_disc(self.box)
        correction = gridding_correction(self.box, padding) if corrected else 1
        grid = volume_to_fourier(self.volume / correction, padding)
        slices = central_slices(grid, self.rotation, disc.frequency, padding)
        slices = slices * phase_shift(disc.frequency, self.translation, self.box)
        return float((disc.to_images(slices) - self.images).norm() / self.images.norm())

    def test_central_slices_are_the_projections_ever_more_with_padding(self):
        # What is left is aliasing of the tent: its share at r from the centre is (r / padding n)².
        twice, fourfold = self.error(padding=2), self.error(padding=4)
        assert twice < 0.025
        assert fourfold < twice / 3.5

    def test_gridding_correction_helps(self):
        assert self.error(padding=2) < 0.75 * self.error(padding=2, corrected=False)

    def test_real_space_projection_is_a_second_way(self):
        images = project(self.volume, self.rotation, self.translation)
        assert correlation(images, self.images).min() > 0.998
        torch.testing.assert_close(images.sum(dim=(1, 2)), self.images.sum(dim=(1, 2)), rtol=0.01, atol=0)


def test_slices_are_those_of_torch_fourier_slice():
    box = 16
    disc = half_disc(box, radius=box // 2 - 1)
    grid = volume_to_fourier(random_volumes(box=box).float())
    rotation = rotations(20).float()
    # Its matrices take a slice's coordinates into the volume: Aᵀ.
    theirs = extract_central_slices_rfft_3d(torch.fft.fftshift(grid, dim=(0, 1)), rotation.mT)
    theirs = torch.fft.ifftshift(theirs, dim=-2).flatten(-2)[:, disc.index]
    torch.testing.assert_close(central_slices(grid, rotation, disc.frequency), theirs, atol=2e-4, rtol=0)


def test_unrotated_slice_is_the_transform_of_the_sum_along_z():
    volume = random_volumes(box=12)
    disc = half_disc(12)
    slices = central_slices(volume_to_fourier(volume), torch.eye(3), disc.frequency)
    torch.testing.assert_close(slices, disc.from_images(volume.sum(dim=0)))


def test_quarter_turns_permute_the_axes_of_the_volume():
    # x → y, y → −x about index n // 2, which leaves index 0 without a partner.
    volume = random_volumes(box=12)
    volume[0], volume[:, 0], volume[:, :, 0] = 0, 0, 0
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    disc = half_disc(12)
    image = disc.to_images(central_slices(volume_to_fourier(volume), quarter, disc.frequency))
    straight = disc.to_images(central_slices(volume_to_fourier(volume), torch.eye(3), disc.frequency))
    torch.testing.assert_close(image[1:, 1:], torch.rot90(straight[1:, 1:], -1), atol=1e-6, rtol=0)


def test_a_point_lands_where_the_rotation_says():
    box, point = 16, torch.tensor([[5.0, -2.0, 3.0]], dtype=torch.float64)
    disc = half_disc(box)
    grid = volume_to_fourier(volume_of(point, 1.2, box) / gridding_correction(box, 3), padding=3)
    for turn in rotations(5):
        image = disc.to_images(central_slices(grid, turn, disc.frequency, padding=3))
        y, x = divmod(int(image.argmax()), box)
        landed = (turn @ point[0])[:2] + box // 2
        assert (torch.tensor([x, y]) - landed).abs().max() <= 0.6


def test_shared_grids_batched_grids_and_chunks_give_the_same(monkeypatch):
    disc = half_disc(8)
    rotation = rotations(2, 3)
    grid = volume_to_fourier(random_volumes(2, 3, box=8), padding=2)
    batched = central_slices(grid, rotation, disc.frequency, padding=2)
    for i in range(2):
        for j in range(3):
            alone = central_slices(grid[i, j], rotation[i, j], disc.frequency, padding=2)
            torch.testing.assert_close(batched[i, j], alone)
    sums = insert_slices(batched, batched.abs(), rotation, disc.frequency, 8, padding=2)
    monkeypatch.setattr(projection, "CHUNK", 2 * len(disc))
    torch.testing.assert_close(central_slices(grid, rotation, disc.frequency, padding=2), batched)
    chunked = insert_slices(batched, batched.abs(), rotation, disc.frequency, 8, padding=2)
    torch.testing.assert_close(chunked, sums)


# In a box of 10, |k| = 5 is reached by (3, 4), which turns about z by 53° put on the Nyquist plane.
@pytest.mark.parametrize(("box", "padding"), [(10, 1), (10, 2), (8, 3)])
def test_insertion_is_the_adjoint_of_slicing(box, padding):
    disc = half_disc(box)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    about_z = torch.tensor([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]], dtype=torch.float64)
    rotation = torch.cat(
        (torch.stack((torch.eye(3).double(), quarter, about_z, -about_z @ quarter)), rotations(20))
    )
    grid = volume_to_fourier(random_volumes(box=box), padding)
    coefficients = random_coefficients(len(rotation), disc=disc)
    slices = central_slices(grid, rotation, disc.frequency, padding)
    inserted, _ = insert_slices(coefficients, coefficients.abs(), rotation, disc.frequency, box, padding)
    of_images = (disc.multiplicity * (coefficients.conj() * slices).real).sum()
    of_volumes = (grid_multiplicity(grid) * (grid.conj() * inserted).real).sum()
    torch.testing.assert_close(of_images, of_volumes)


def test_the_weights_are_spread_as_the_values_are():
    disc = half_disc(8)
    weights = torch.rand(5, len(disc), generator=seeded(), dtype=torch.float64)
    numerator, denominator = insert_slices(weights + 0j, weights, rotations(5), disc.frequency, 8, padding=2)
    torch.testing.assert_close(numerator.real, denominator)
    # Trilinear weights sum to one: nothing is lost or made.
    total = (grid_multiplicity(denominator) * denominator).sum()
    torch.testing.assert_close(total, (disc.multiplicity * weights).sum())


def test_gradient_through_slicing_is_back_projection():
    box, padding = 8, 2
    disc = half_disc(box)
    rotation, target = rotations(4), random_coefficients(4, disc=disc)
    volume = random_volumes(box=box).requires_grad_()
    slices = central_slices(volume_to_fourier(volume, padding), rotation, disc.frequency, padding)
    (disc.multiplicity * (target.conj() * slices).real).sum().backward()
    inserted, _ = insert_slices(target, target.abs(), rotation, disc.frequency, box, padding)
    expected = (padding * box) ** 3 / box**2 * fourier_to_volume(inserted, padding)
    torch.testing.assert_close(volume.grad, expected)


def test_gradients_in_grids_and_rotations_are_those_of_finite_differences():
    disc = half_disc(4)
    grid = volume_to_fourier(random_volumes(2, box=4), padding=2).requires_grad_()
    rotation = rotations(2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda g, a: central_slices(g, a, disc.frequency.double(), padding=2),
        (grid, rotation),
        fast_mode=True,
    )


def test_back_projection_over_its_weights_returns_the_volume():
    box, padding = 20, 2
    positions = 2 * torch.randn(8, 3, generator=seeded(5), dtype=torch.float64)
    rotation = rotations(800)
    images = projections_of(positions, 1.5, box, rotation, torch.zeros(800, 2))
    # Images padded as the grid is: whole steps alone leave the points next to the origin empty.
    fine = half_disc(padding * box, radius=padding * box // 2)
    coefficients = padding * fine.from_images(torch.nn.functional.pad(images, (box // 2,) * 4))
    weights = torch.ones(coefficients.shape, dtype=torch.float64)
    numerator, denominator = insert_slices(
        coefficients, weights, rotation, fine.frequency / padding, box, padding
    )
    found = fourier_to_volume(numerator / (denominator + 1e-6), padding) / gridding_correction(box, padding)
    volume = volume_of(positions, 1.5, box)
    assert (found - volume).norm() < 0.03 * volume.norm()


def test_autocast_does_not_touch_the_coordinates():
    disc = half_disc(64)
    rotation = rotations(3).float()
    expected = slice_coordinates(rotation, disc.frequency)
    torch.testing.assert_close(expected, disc.frequency @ rotation[:, :2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(slice_coordinates(rotation, disc.frequency), expected, atol=0, rtol=0)


def test_no_rotations_give_no_slices_and_empty_grids():
    disc = half_disc(8)
    none = torch.zeros(0, 3, 3)
    slices = central_slices(torch.zeros(8, 8, 5, dtype=torch.complex64), none, disc.frequency)
    assert slices.shape == (0, len(disc))
    numerator, denominator = insert_slices(slices, slices.abs(), none, disc.frequency, 8)
    assert numerator.abs().sum() == denominator.sum() == 0


def test_rounding_past_the_last_plane_is_harmless():
    grid = volume_to_fourier(random_volumes(box=8))
    past = torch.tensor([[1 + 1e-6, -1e-9, -1e-9], [0, 1, 0], [0, 0, 1]])
    nyquist = torch.tensor([[4.0, 0.0]])
    torch.testing.assert_close(central_slices(grid, past, nyquist)[0], grid[0, 0, 4], atol=1e-4, rtol=0)


def test_frequencies_beyond_nyquist_are_refused():
    grid = torch.zeros(8, 8, 5, dtype=torch.complex64)
    with pytest.raises(ValueError, match="within Nyquist, 4 cycles per box"):
        central_slices(grid, torch.eye(3), torch.tensor([[3.0, 3.0]]))


def test_grids_must_match_the_rotations():
    grids = torch.zeros(2, 1, 8, 8, 5, dtype=torch.complex64)
    with pytest.raises(ValueError, match="one for each of the rotations"):
        central_slices(grids, torch.eye(3).expand(2, 3, 3, 3), half_disc(8).frequency)

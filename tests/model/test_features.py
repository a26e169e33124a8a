import pytest
import torch
from cases import BOX, LATENT, normal, seeded, subspace, turned, turns

from temporem.model.features import ImageFeatures, SubspaceFeatures, unpacked
from temporem.model.subspace import FrameInformation, LinearSubspace
from temporem.physics.lattice import HalfDisc, half_disc
from temporem.physics.projection import central_slices
from temporem.physics.rotations import random_rotations
from temporem.physics.volumes import gridding_correction, volume_to_fourier

LATTICE = half_disc(BOX)
FRAMES = 6


def frames(
    lattice: HalfDisc = LATTICE, count: int = FRAMES
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """White noise, a transfer of either sign, and poses."""
    images = normal(count, lattice.box_size, lattice.box_size, seed=1)
    transfer = normal(count, len(lattice), seed=2)
    return lattice.from_images(images), transfer, random_rotations(count, seeded(3))


def design(linear: LinearSubspace, transfer: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Transfer times central slices of V₀ … V_J over the whole disc; (frames, points, parts)."""
    n, count = 2 * linear.radius, LATTICE.count_within(linear.radius - 1)
    frequency = LATTICE.frequency[:count]
    whole = torch.cat((frequency, -frequency[1:]))
    transfer = torch.cat((transfer[:, :count], transfer[:, 1:count]), dim=1)
    volumes = linear.parts * linear.ball / gridding_correction(n, 2)
    slices = [central_slices(volume_to_fourier(volume, 2), rotation, whole, 2) for volume in volumes]
    return torch.stack(slices, dim=-1) * transfer[..., None]


class TestLinearSubspace:
    def setup_method(self) -> None:
        self.linear = subspace()
        self.coefficients, self.transfer, self.rotation = frames()
        self.told = self.linear.information(self.coefficients, self.transfer, self.rotation, LATTICE)
        self.parts = design(self.linear, self.transfer, self.rotation)
        count = LATTICE.count_within(self.linear.radius - 1)
        data = self.coefficients[:, :count]
        self.data = torch.cat((data, data[:, 1:].conj()), dim=1)

    def test_information_solves_the_least_squares_problem(self) -> None:
        residual = self.data - self.parts[..., 0]
        stacked = torch.cat((self.parts[..., 1:].real, self.parts[..., 1:].imag), dim=1).double()
        right = torch.cat((residual.real, residual.imag), dim=1).double()
        expected = torch.linalg.lstsq(stacked, right[..., None]).solution[..., 0]
        found = torch.linalg.solve(self.told.matrix, self.told.vector)
        torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=1e-3)

    def test_likelihood_is_its_quadratic_form_at_every_state(self) -> None:
        told: FrameInformation = self.told
        for z in normal(4, FRAMES, LATENT, seed=5):
            prediction = (self.parts * torch.nn.functional.pad(z, (1, 0), value=1.0)[:, None]).sum(-1)
            expected = -0.5 * (self.data - prediction).abs().square().sum(-1)
            form = -0.5 * torch.einsum("fi,fij,fj->f", z, told.matrix, z) + (told.vector * z).sum(-1)
            torch.testing.assert_close(form - 0.5 * told.squared_residual, expected, atol=1e-3, rtol=1e-5)

    def test_what_lies_outside_the_ball_is_not_seen(self) -> None:
        outside = subspace()
        outside.parts += 100 * (1 - outside.ball)
        again = outside.information(self.coefficients, self.transfer, self.rotation, LATTICE)
        assert torch.equal(again.matrix, self.told.matrix)

    def test_larger_boxes_of_the_same_field_of_view_see_the_same_slices(self) -> None:
        """A frame's coefficients |k| < radius do not depend on how finely it was sampled."""
        large = half_disc(2 * BOX)
        count = LATTICE.count_within(4)
        order = [
            int((large.frequency[: large.count_within(4)] == k).all(-1).nonzero())
            for k in LATTICE.frequency[:count]
        ]
        coefficients = torch.zeros(FRAMES, len(large), dtype=torch.complex64)
        transfer = torch.zeros(FRAMES, len(large))
        coefficients[:, order], transfer[:, order] = self.coefficients[:, :count], self.transfer[:, :count]
        again = self.linear.information(coefficients, transfer, self.rotation, large)
        torch.testing.assert_close(again.matrix, self.told.matrix)
        torch.testing.assert_close(again.vector, self.told.vector, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("which", range(1, 24, 5))
    def test_turning_the_molecule_with_the_poses_changes_nothing(self, which: int) -> None:
        turn, other = turns()[which], subspace()
        other.parts.copy_(torch.stack([turned(part, turn) for part in other.parts * other.ball]))
        again = other.information(self.coefficients, self.transfer, self.rotation @ turn.T, LATTICE)
        torch.testing.assert_close(again.matrix, self.told.matrix, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(again.vector, self.told.vector, atol=1e-4, rtol=1e-4)

    def test_turning_the_images_with_the_poses_changes_nothing(self) -> None:
        quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

        def turn(coefficients: torch.Tensor) -> torch.Tensor:
            images = LATTICE.to_images(coefficients)
            back = (-torch.arange(BOX)) % BOX
            # The value at (x, y) comes from (y, −x).
            return LATTICE.from_images(images.mT[..., back])

        transfer = (-0.05 * LATTICE.frequency.square().sum(-1)).exp().expand(FRAMES, -1)
        before = self.linear.information(self.coefficients, transfer, self.rotation, LATTICE)
        after = self.linear.information(turn(self.coefficients), transfer, quarter @ self.rotation, LATTICE)
        torch.testing.assert_close(after.matrix, before.matrix, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(after.vector, before.vector, atol=1e-4, rtol=1e-4)


class TestSubspaceFeatures:
    def test_are_the_posterior_under_the_standard_normal(self) -> None:
        linear, data = subspace(), frames()
        features = SubspaceFeatures(linear)(*data, LATTICE)
        assert features.shape == (FRAMES, SubspaceFeatures(linear).width)
        told, parts = linear.information(*data, LATTICE), unpacked(features, LATENT)
        torch.testing.assert_close(parts.matrix, told.matrix)
        torch.testing.assert_close(parts.vector, told.vector)
        covariance = torch.linalg.inv((told.matrix + torch.eye(LATENT)).double())
        mean = (covariance @ told.vector.double()[..., None])[..., 0]
        variance = covariance.diagonal(dim1=-2, dim2=-1)
        torch.testing.assert_close(
            parts.estimate, torch.cat((mean, variance.log()), -1).float(), atol=1e-4, rtol=1e-4
        )

    def test_states_lie_where_the_posterior_says(self) -> None:
        """Frames made by the linear model, in white noise: (z − mean)² / variance is 1 on average."""
        linear, count = subspace(strength=0.1), 600
        noise, transfer, rotation = frames(count=count)
        z = normal(count, LATENT, seed=7)
        weights = torch.nn.functional.pad(z, (1, 0), value=1.0)
        inside = LATTICE.count_within(linear.radius)
        clean = linear.slices(rotation, LATTICE.frequency[:inside]) * weights[:, None]
        coefficients = noise.clone()
        coefficients[:, :inside] += transfer[:, :inside] * clean.sum(-1)
        estimate = unpacked(
            SubspaceFeatures(linear)(coefficients, transfer, rotation, LATTICE), LATENT
        ).estimate
        mean, log_variance = estimate.chunk(2, dim=-1)
        assert 0.05 < log_variance.exp().mean() < 0.9
        ratio = (z - mean).square() / log_variance.exp()
        torch.testing.assert_close(ratio.mean(0), torch.ones(LATENT), atol=0.2, rtol=0)


class TestImageFeatures:
    def test_need_no_pose_and_flip_phases(self) -> None:
        torch.manual_seed(0)
        features = ImageFeatures(LATTICE, 4, 16, 2)
        coefficients, transfer, rotation = frames()
        found = features(coefficients, transfer, rotation, LATTICE)
        assert found.shape == (FRAMES, features.width)
        assert torch.equal(found, features(coefficients, transfer, rotation.flip(0), LATTICE))
        assert torch.equal(found, features(-coefficients, -transfer, rotation, LATTICE))
        assert not torch.allclose(found, features(-coefficients, transfer, rotation, LATTICE))

    def test_read_no_further_than_their_radius(self) -> None:
        torch.manual_seed(0)
        features = ImageFeatures(LATTICE, 4, 16, 2)
        coefficients, transfer, rotation = frames()
        found = features(coefficients, transfer, rotation, LATTICE)
        coefficients[:, LATTICE.count_within(4) :] = 0
        assert torch.equal(found, features(coefficients, transfer, rotation, LATTICE))

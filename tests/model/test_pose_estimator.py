"""Pose Gaussians and the symmetric loss: laws of half turns and densities, and what must not be seen."""

import math

import pytest
import torch
from cases import BOX, LATENT, fourier_generator, normal, seeded

from temporem.model.batches import FrameBatch
from temporem.model.encoders import FrameEncoder
from temporem.model.features import ImageFeatures
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.methods import DynamicalModel
from temporem.model.pose_estimator import PoseCandidates, PoseEstimator
from temporem.model.priors import StandardNormal
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import angular_distance, random_rotations
from temporem.physics.shifts import phase_shift

LATTICE = half_disc(BOX)
HEADS = 3


def hetem() -> DynamicalModel:
    torch.manual_seed(0)
    features = ImageFeatures(LATTICE, BOX // 2, 16, 1)
    poses = PoseEstimator(16, 16, 1, HEADS, seeded(1))
    return DynamicalModel(
        fourier_generator(), features, FrameEncoder(16, LATENT, 8, False), StandardNormal(), poses
    )


def frames(count: int = 5) -> FrameBatch:
    images = normal(count, BOX, BOX, seed=3)
    return FrameBatch(
        LATTICE.from_images(images), 0.5 + normal(count, len(LATTICE)), random_rotations(count, seeded())
    )


def half_turned(batch: FrameBatch) -> FrameBatch:
    """In real space: y and x reversed about the origin at n // 2."""
    images = LATTICE.to_images(batch.coefficients)
    turned = images.flip(-1, -2).roll((1, 1), (-2, -1))
    return FrameBatch(LATTICE.from_images(turned), batch.transfer, batch.rotation)


def candidates(count: int, per_frame: int, seed: int = 0) -> PoseCandidates:
    rotation = random_rotations(count * per_frame, seeded(seed)).reshape(count, per_frame, 3, 3)
    spread = normal(count, per_frame, 3, seed=seed + 1) * 0.3 - 1
    shift = DiagonalGaussian(
        normal(count, per_frame, 2, seed=seed + 2), normal(count, per_frame, 2, seed=seed + 3)
    )
    return PoseCandidates(rotation, spread, shift)


def test_a_half_turned_image_has_the_same_candidates_half_turned() -> None:
    """The symmetric loss leaves nothing to choose between an image and its half turn."""
    model, batch = hetem(), frames()
    with torch.no_grad():
        found = model.pose_candidates(batch, LATTICE)
        of_turned = model.pose_candidates(half_turned(batch), LATTICE).half_turned()
    swapped = torch.arange(2 * HEADS).roll(HEADS)
    torch.testing.assert_close(found.rotation, of_turned.rotation[:, swapped], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.shift.mean, of_turned.shift.mean[:, swapped], atol=1e-5, rtol=0)
    spread = found.log_sd_of_rotation, of_turned.log_sd_of_rotation[:, swapped]
    torch.testing.assert_close(*spread, atol=1e-5, rtol=0)


def test_a_half_turned_pose_makes_the_half_turned_image() -> None:
    """Slice and shift at the half-turned pose are those of −k: the conjugate of a real volume's."""
    generator, poses = fourier_generator(), candidates(4, 1)
    turned = poses.half_turned()

    def image(at: PoseCandidates) -> torch.Tensor:
        with torch.no_grad():
            slices = generator.slices(normal(4, LATENT), at.rotation[:, 0], LATTICE.frequency)
        return slices * phase_shift(LATTICE.frequency, at.shift.mean[:, 0], BOX)

    torch.testing.assert_close(image(turned), image(poses).conj(), atol=2e-2, rtol=2e-2)


def test_known_rotations_and_their_shifts_are_not_looked_at() -> None:
    model, batch = hetem(), frames()
    other = FrameBatch(batch.coefficients, batch.transfer, random_rotations(5, seeded(7)))
    with torch.no_grad():
        found, again = (model.pose_candidates(x, LATTICE) for x in (batch, other))
    assert torch.equal(found.rotation, again.rotation)


def test_heads_start_far_from_each_other() -> None:
    poses = PoseEstimator(4, 8, 1, HEADS, seeded(1))
    with torch.no_grad():
        found = poses(torch.zeros(1, 4)).rotation[0]
    for i in range(HEADS):
        for j in range(i):
            assert float(angular_distance(found[i], found[j])) > math.radians(20)


def test_means_and_choices() -> None:
    poses = candidates(6, 4)
    prior = DiagonalGaussian(torch.zeros(2), torch.ones(2))
    index = torch.tensor([0, 3, 1, 2, 2, 0])
    mean = poses.chosen(index).sample(torch.zeros(6, 5), prior)
    for frame, head in enumerate(index):
        torch.testing.assert_close(mean.rotation[frame], poses.rotation[frame, head])
        assert torch.equal(mean.translation_in_pixels[frame], poses.shift.mean[frame, head])


def test_the_divergence_is_the_mean_of_the_log_ratio_of_densities() -> None:
    """KL[q ‖ p] over draws of q, with the densities that `log_density` gives."""
    one = candidates(1, 1)
    count = 40_000
    many = PoseCandidates(
        one.rotation[0].expand(count, 3, 3),
        one.log_sd_of_rotation[0].expand(count, 3),
        DiagonalGaussian(one.shift.mean[0].expand(count, 2), one.shift.log_variance[0].expand(count, 2)),
    )
    prior = DiagonalGaussian(torch.zeros(2), torch.tensor([0.5, 0.5]))
    drawn = many.sample(normal(count, 5), prior)
    ratio = many.log_density(drawn.rotation, drawn.translation_in_pixels) - prior.log_density(
        drawn.translation_in_pixels
    )
    assert float(drawn.divergence.mean()) == pytest.approx(float(ratio.mean()), abs=0.04)


def test_the_variance_does_not_collapse_where_the_image_says_nothing() -> None:
    """The KL alone, climbed down: wide in rotation, and the prior in shift."""
    log_sd = torch.full((1, 3), -2.0, requires_grad=True)
    mean, log_variance = torch.ones(1, 2, requires_grad=True), torch.full((1, 2), -3.0, requires_grad=True)
    rotation, prior = torch.eye(3)[None], DiagonalGaussian(torch.zeros(2), torch.tensor([0.4, 0.4]))
    optimiser = torch.optim.Adam([log_sd, mean, log_variance], lr=0.05)
    for step in range(200):
        q = PoseCandidates(
            rotation.expand(64, 3, 3),
            log_sd.expand(64, 3),
            DiagonalGaussian(mean.expand(64, 2), log_variance.expand(64, 2)),
        )
        loss = q.sample(normal(64, 5, seed=step), prior).divergence.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(log_sd.detach().exp().min()) > 1.2
    torch.testing.assert_close(mean.detach(), torch.zeros(1, 2), atol=0.1, rtol=0)
    torch.testing.assert_close(log_variance.detach(), torch.full((1, 2), 0.4), atol=0.1, rtol=0)


def test_a_model_of_known_poses_has_no_candidates() -> None:
    model = DynamicalModel(
        fourier_generator(),
        ImageFeatures(LATTICE, 4, 8, 1),
        FrameEncoder(8, LATENT, 8, False),
        StandardNormal(),
    )
    with pytest.raises(ValueError, match="known"):
        model.pose_candidates(frames(), LATTICE)

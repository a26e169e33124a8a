import pytest
import torch
from cases import BOX, LATENT, anchor_generator, normal, ragged, seeded, subspace
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.encoders import Encoder, FrameEncoder, LatentPath, TemporalEncoder
from temporem.model.features import ImageFeatures, SubspaceFeatures, unpacked
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.methods import DynamicalModel
from temporem.model.priors import OrnsteinUhlenbeck, StandardNormal
from temporem.model.smoothing import smooth
from temporem.physics.lattice import half_disc
from temporem.physics.rotations import random_rotations

LATTICE, LENGTHS = half_disc(BOX), (4, 6, 1)


class Autoregression(Encoder):
    """q(z_t | z_{t−1}) = N(a z_{t−1}, v), z₀ = 0."""

    decay, variance = 0.9, 0.3

    def forward(
        self,
        features: Float[Tensor, "movies frames features"],
        interval: Float[Tensor, "movies frames"],
        mask: Bool[Tensor, "movies frames"],
        noise: Float[Tensor, "movies frames latent"],
    ) -> LatentPath:
        z, means = [torch.zeros_like(noise[:, 0])], []
        for step in noise.unbind(1):
            means.append(self.decay * z[-1])
            z.append(means[-1] + self.variance**0.5 * step)
        log_variance = torch.full_like(noise, self.variance).log()
        return LatentPath(torch.stack(z[1:], 1), DiagonalGaussian(torch.stack(means, 1), log_variance))


def movies(order: tuple[int, ...] = (0, 1, 2)) -> tuple[FrameBatch, MovieBatch]:
    """The same movies in any order."""
    interval, mask = ragged(LENGTHS)
    starts = [sum(LENGTHS[:movie]) for movie in order]
    rows = torch.cat([torch.arange(s, s + LENGTHS[movie]) for s, movie in zip(starts, order, strict=True)])
    count = sum(LENGTHS)
    frames = FrameBatch(
        LATTICE.from_images(normal(count, BOX, BOX, seed=1))[rows],
        normal(count, len(LATTICE), seed=2)[rows],
        random_rotations(count, seeded(3))[rows],
    )
    return frames, MovieBatch(rows, interval[list(order)], mask[list(order)])


def method(temporal: bool, linear: bool) -> DynamicalModel:
    torch.manual_seed(0)
    features = SubspaceFeatures(subspace()) if linear else ImageFeatures(LATTICE, 4, 16, 1)
    kind = TemporalEncoder if temporal else FrameEncoder
    encoder = kind(features.width, LATENT, 16, linear)
    torch.nn.init.normal_((encoder.combiner if temporal else encoder).gaussian.weight, std=0.3)
    prior = OrnsteinUhlenbeck(LATENT, 10.0) if temporal else StandardNormal()
    return DynamicalModel(anchor_generator(), features, encoder, prior)


METHODS = pytest.mark.parametrize(
    ("temporal", "linear"), [(True, True), (True, False), (False, True), (False, False)]
)


@METHODS
def test_order_of_movies_does_not_matter(temporal: bool, linear: bool) -> None:
    model, order = method(temporal, linear), (2, 0, 1)
    frames, batch = movies()
    mean, _ = model.posterior(frames, batch, LATTICE, 1, seeded())
    frames, batch = movies(order)
    again, _ = model.posterior(frames, batch, LATTICE, 1, seeded())
    torch.testing.assert_close(again, mean[batch.rows], atol=1e-5, rtol=1e-4)


@METHODS
def test_means_are_the_same_at_every_call_and_deviations_at_every_call_with_the_seed(
    temporal: bool, linear: bool
) -> None:
    model, data = method(temporal, linear), movies()
    mean, deviation = model.posterior(*data, LATTICE, 4, seeded())
    other, _ = model.posterior(*data, LATTICE, 3, seeded(1))
    again, same = model.posterior(*data, LATTICE, 4, seeded())
    assert torch.equal(mean, other)
    assert torch.equal(mean, again)
    assert torch.equal(deviation, same)
    assert mean.shape == deviation.shape == (sum(LENGTHS), LATENT)


def test_deviations_of_an_untrained_method_are_the_smoothers() -> None:
    model, (frames, batch) = method(True, True), movies()
    torch.nn.init.zeros_(model.encoder.combiner.gaussian.weight)
    mean, deviation = model.posterior(frames, batch, LATTICE, 3, seeded())
    features = model.features(frames.coefficients, frames.transfer, frames.rotation, LATTICE)
    parts = unpacked(batch.pad(features), LATENT)
    states = smooth(parts.matrix, parts.vector, batch.interval, torch.ones(LATENT), batch.mask)
    torch.testing.assert_close(mean, states.mean[batch.mask])
    expected = states.covariance.diagonal(dim1=-2, dim2=-1)[batch.mask].sqrt()
    torch.testing.assert_close(deviation, expected)


def test_deviations_count_what_is_uncertain_of_the_state_before() -> None:
    model, (frames, batch) = method(True, True), movies()
    model.encoder = encoder = Autoregression()
    mean, deviation = model.posterior(frames, batch, LATTICE, 500, seeded())
    assert torch.equal(mean, torch.zeros_like(mean))
    steps = torch.cat([torch.arange(length) for length in LENGTHS]) + 1
    square = encoder.decay**2
    expected = (encoder.variance * (1 - square**steps) / (1 - square)).sqrt()
    torch.testing.assert_close(deviation, expected[:, None].expand(-1, LATENT), atol=0, rtol=0.1)


def test_values_are_put_in_the_places_of_their_frames() -> None:
    _, batch = movies()
    padded = batch.pad(torch.arange(1.0, 12.0)[:, None, None].expand(-1, 2, 3))
    assert padded.shape == (3, 6, 2, 3)
    assert padded[..., 0, 0].tolist() == [[1, 2, 3, 4, 0, 0], [5, 6, 7, 8, 9, 10], [11, 0, 0, 0, 0, 0]]

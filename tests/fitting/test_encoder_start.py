"""The encoder's start climbs a bound whose optimum is known: the exact posterior of the linear subspace."""

import pytest
import torch
from blob_movies import blob_store, silent, swinging, untold

from temporem.errors import UserError
from temporem.fitting.consensus import find_consensus
from temporem.fitting.encoder_start import STEPS, start_encoder
from temporem.fitting.subspace_fit import (
    START_RELAXATION_TIME,
    fit_subspace,
    start_subspace,
    subspace_posterior,
)
from temporem.model.encoders import FrameEncoder, TemporalEncoder
from temporem.model.features import SubspaceFeatures
from temporem.model.priors import OrnsteinUhlenbeck, StandardNormal
from temporem.model.subspace import LinearSubspace


@pytest.mark.parametrize("temporal", [False, True])
def test_the_encoder_ends_near_the_exact_posterior(temporal: bool) -> None:
    store = blob_store(swinging(8, 6), snr=1.0)
    generator = torch.Generator().manual_seed(0)
    subspace = LinearSubspace(16, 2, 6)
    start_subspace(subspace, find_consensus(store).volume, generator)
    time = torch.full((2,), START_RELAXATION_TIME) if temporal else None
    time = fit_subspace(subspace, store, time, 6, 0.1, generator, untold)
    subspace.requires_grad_(False)
    features = SubspaceFeatures(subspace)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = (TemporalEncoder if temporal else FrameEncoder)(features.width, 2, 16, True)
    prior = OrnsteinUhlenbeck(2, START_RELAXATION_TIME) if temporal else StandardNormal()
    steps: list[int] = []
    start_encoder(encoder, prior, features, store, generator, lambda count, _: steps.append(count))
    assert sum(steps) == STEPS
    (batch,) = store.epoch(1000)
    frames = store.frames(batch.rows)
    with torch.no_grad():
        inputs = batch.pad(features(frames.coefficients, frames.transfer, frames.rotation, store.lattice))
        path = encoder(inputs, batch.interval, batch.mask, torch.zeros(*batch.mask.shape, 2))
    exact = subspace_posterior(subspace, store, time)
    difference = path.z[batch.mask] - exact.mean[batch.rows]
    assert difference.square().mean() < 0.1 * exact.mean.var()
    # A Gaussian of fewer correlations is narrower than the marginal, never wider by much.
    sd = exact.covariance.diagonal(dim1=1, dim2=2)[batch.rows].sqrt()
    ratio = (0.5 * path.conditional.log_variance[batch.mask]).exp() / sd
    assert 0.4 < ratio.median() < 1.2


def test_lost_numbers_end_in_a_sentence() -> None:
    store = blob_store(swinging(2, 3))
    subspace = LinearSubspace(16, 2, 6).requires_grad_(False)
    subspace.parts.fill_(torch.nan)
    features = SubspaceFeatures(subspace)
    encoder = FrameEncoder(features.width, 2, 8, True)
    with pytest.raises(UserError, match="ELBO of the encoder's start became"):
        start_encoder(encoder, StandardNormal(), features, store, torch.Generator(), silent)

"""The ELBO's two terms against densities computed another way."""

import math
from itertools import combinations
from unittest.mock import patch

import pytest
import torch
from blob_movies import blob_store, swinging
from torch.distributions import Independent, Normal, kl_divergence

from temporem.fitting.frames import FrameStore
from temporem.fitting.objective import Bound, elbo, path_divergence
from temporem.fitting.options import FittingOptions
from temporem.fitting.warm_start import assemble
from temporem.model.batches import MovieBatch
from temporem.model.encoders import LatentPath
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.gaussian import DiagonalGaussian
from temporem.model.methods import DynamicalModel
from temporem.model.priors import GatedTransition, LatentPrior, OrnsteinUhlenbeck, StandardNormal
from temporem.physics.lattice import HalfDisc, half_disc

OPTIONS = FittingOptions(latent_dim=2, width=8, layers=1, features="image")


@pytest.fixture(scope="module")
def store() -> FrameStore:
    return blob_store(swinging(2, 3), box=16)


def bound_of(store: FrameStore, chosen: torch.Tensor, lattice: HalfDisc | None = None) -> Bound:
    model, batch, noise = sampled(store)
    with torch.no_grad():
        return elbo(model, store.frames(batch.rows), batch, lattice or store.lattice, chosen, noise)


def sampled(store: FrameStore) -> tuple[DynamicalModel, MovieBatch, torch.Tensor]:
    config = FourierGeneratorConfig(16, 2, width=8, layers=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = FourierGenerator(config, torch.Generator().manual_seed(0))
    model = assemble(store, OPTIONS, True, generator)
    (batch,) = store.epoch(1000)
    noise = torch.randn((*batch.mask.shape, 2), generator=torch.Generator().manual_seed(1))
    return model, batch, noise


def test_the_likelihood_is_the_gaussian_density_of_the_noise(store: FrameStore) -> None:
    """In real space: independent pixels. The disc leaves out the same noise of both models compared."""
    model, batch, noise = sampled(store)
    frames, lattice = store.frames(batch.rows), store.lattice
    everything = torch.arange(len(lattice))
    with torch.no_grad():
        path = model.infer(frames, batch, lattice, noise)
        slices = model.generator.slices(path.z[batch.mask], frames.rotation, lattice.frequency)
    sd = store.noise_variance[0].sqrt()
    seen, expected = (lattice.to_images(x) for x in (frames.coefficients * sd, slices * frames.transfer * sd))
    log_density = Normal(expected.double(), sd.double()).log_prob(seen.double()).sum()
    constant = Normal(0.0, sd.double()).log_prob(torch.zeros(())).item() * seen.numel()
    found = bound_of(store, everything).log_likelihood
    assert float(found) == pytest.approx(float(log_density) - constant, rel=1e-5)


def test_any_number_of_coefficients_estimates_the_likelihood_without_bias(store: FrameStore) -> None:
    """The mean over all choices of k of the first coefficients, the origin among them, is the whole."""
    small = half_disc(store.lattice.box_size, 1)
    prefix = torch.arange(len(small))
    assert len(small) == 3
    whole = bound_of_prefix(store, small, prefix)
    for count in (1, 2):
        choices = [torch.tensor(c) for c in combinations(range(len(small)), count)]
        found = torch.stack([bound_of_prefix(store, small, c) for c in choices]).mean()
        assert float(found) == pytest.approx(float(whole), rel=1e-5)


def bound_of_prefix(store: FrameStore, small: HalfDisc, chosen: torch.Tensor) -> torch.Tensor:
    """The likelihood term on a lattice of a few coefficients, the features told all of them."""
    model, batch, noise = sampled(store)
    frames = store.frames(batch.rows)
    path = model.infer(frames, batch, store.lattice, noise)
    with torch.no_grad(), patch.object(model, "infer", lambda *_: path):
        return elbo(model, frames, batch, small, chosen, noise).log_likelihood


def test_a_subset_of_all_coefficients_scales_like_the_whole(store: FrameStore) -> None:
    generator = torch.Generator().manual_seed(0)
    count = len(store.lattice)
    whole = bound_of(store, torch.arange(count))
    parts = torch.randperm(count, generator=generator).split(count // 5)
    found = [bound_of(store, part) for part in parts]
    weight = torch.tensor([len(part) / count for part in parts])
    total = (weight * torch.stack([bound.log_likelihood for bound in found])).sum()
    assert float(total) == pytest.approx(float(whole.log_likelihood), rel=1e-4)
    assert all(bound.divergence == whole.divergence for bound in found)


@pytest.mark.parametrize(
    "prior",
    [StandardNormal(), OrnsteinUhlenbeck(3, 4.0), GatedTransition(3, 8)],
    ids=lambda p: type(p).__name__,
)
def test_the_divergence_is_that_of_torch_distributions(prior: LatentPrior) -> None:
    generator = torch.Generator().manual_seed(2)
    z, mean, log_variance = torch.randn(3, 2, 4, 3, generator=generator)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    interval = torch.tensor([[math.inf, 1.0, 2.0, 0.5], [math.inf, 3.0, math.inf, math.inf]])
    path = LatentPath(z, DiagonalGaussian(mean, log_variance))
    with torch.no_grad():
        found = path_divergence(path, prior, MovieBatch(torch.arange(6), interval, mask))
    for movie, length in enumerate((4, 2)):
        for t in range(length):
            with torch.no_grad():
                before = torch.zeros(3) if t == 0 else z[movie, t - 1]
                step = prior.transition(before, interval[movie, t])
            p = Normal(step.mean, (0.5 * step.log_variance).exp())
            if t == 0:
                p = Normal(torch.zeros(3), torch.ones(3))
            q = Normal(mean[movie, t], (0.5 * log_variance[movie, t]).exp())
            expected = kl_divergence(Independent(q, 1), Independent(p, 1))
            assert float(found[movie, t]) == pytest.approx(float(expected), rel=1e-5)
    assert (found[~mask] == 0).all()


def test_an_ou_path_costs_what_its_joint_density_says() -> None:
    """Σ_t log p(z_t | z_{t−1}) of the divergences' priors is the log density of the whole path's Gaussian."""
    tau = 3.0
    prior = OrnsteinUhlenbeck(1, tau)
    time = torch.tensor([0.0, 1.0, 3.0, 3.5])
    z = torch.randn(4, generator=torch.Generator().manual_seed(0))
    covariance = torch.exp(-(time[:, None] - time).abs() / tau)
    joint = torch.distributions.MultivariateNormal(torch.zeros(4), covariance).log_prob(z)
    interval = torch.cat((torch.tensor([math.inf]), time.diff()))
    before = torch.cat((torch.zeros(1), z[:-1]))
    with torch.no_grad():
        steps = prior.transition(before[:, None], interval)
    each = Normal(steps.mean[:, 0], (0.5 * steps.log_variance[:, 0]).exp()).log_prob(z)
    assert float(each.sum()) == pytest.approx(float(joint), rel=1e-4)

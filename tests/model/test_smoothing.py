import numpy as np
import pytest
import torch
from cases import ragged
from scipy.stats import multivariate_normal

from temporem.model.smoothing import SmoothedStates, evidence, filtered, smooth

LENGTHS, LATENT, OBSERVED = (5, 3, 1, 6), 2, 3


class Case:
    """Movies seen through random linear maps, y_t = A_t z_t + unit noise, padded with junk."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        interval, mask = ragged(LENGTHS)
        # A gap after which nothing is remembered, within a movie.
        interval[3, 2] = torch.inf
        self.interval, self.mask = interval.double(), mask
        self.maps = rng.normal(size=(*mask.shape, OBSERVED, LATENT))
        self.seen = 2 * rng.normal(size=(*mask.shape, OBSERVED))

    def told(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        maps, seen = torch.from_numpy(self.maps), torch.from_numpy(self.seen)
        return maps.mT @ maps, (maps.mT @ seen[..., None])[..., 0], self.interval

    def smooth(self, relaxation_time: torch.Tensor | None) -> SmoothedStates:
        return smooth(*self.told(), relaxation_time, self.mask)

    def evidence(self, relaxation_time: torch.Tensor | None) -> torch.Tensor:
        return evidence(*self.told(), relaxation_time, self.mask)

    def prior_covariance(self, movie: int, relaxation_time: torch.Tensor | None) -> np.ndarray:
        """Of the states of a movie, frame by frame; zero across gaps that nothing is remembered over."""
        length = LENGTHS[movie]
        covariance = np.zeros((length, LATENT, length, LATENT))
        for s in range(length):
            for t in range(length):
                waited = float(self.interval[movie, min(s, t) + 1 : max(s, t) + 1].sum())
                for j in range(LATENT):
                    if relaxation_time is None:
                        covariance[s, j, t, j] = float(s == t)
                    else:
                        covariance[s, j, t, j] = np.exp(-waited / relaxation_time[j].item())
        return covariance.reshape(length * LATENT, length * LATENT)

    def dense_map(self, movie: int) -> np.ndarray:
        length = LENGTHS[movie]
        dense = np.zeros((length, OBSERVED, length, LATENT))
        dense[np.arange(length), :, np.arange(length)] = self.maps[movie, :length]
        return dense.reshape(length * OBSERVED, length * LATENT)


TIMES = pytest.mark.parametrize(
    "relaxation_time", [torch.tensor([0.7, 12.0], dtype=torch.float64), None], ids=["time", "no time"]
)


@TIMES
def test_posterior_is_that_of_one_large_gaussian(relaxation_time: torch.Tensor | None) -> None:
    case = Case()
    found = case.smooth(relaxation_time)
    for movie, length in enumerate(LENGTHS):
        prior, dense = case.prior_covariance(movie, relaxation_time), case.dense_map(movie)
        gain = prior @ dense.T @ np.linalg.inv(dense @ prior @ dense.T + np.eye(len(dense)))
        mean = gain @ case.seen[movie, :length].ravel()
        covariance = (prior - gain @ dense @ prior).reshape(length, LATENT, length, LATENT)
        np.testing.assert_allclose(found.mean[movie, :length].ravel(), mean, atol=1e-10)
        marginal = covariance[np.arange(length), :, np.arange(length)]
        np.testing.assert_allclose(found.covariance[movie, :length], marginal, atol=1e-10)


@TIMES
def test_evidence_is_the_density_of_what_was_seen(relaxation_time: torch.Tensor | None) -> None:
    case = Case()
    found = case.evidence(relaxation_time)
    for movie, length in enumerate(LENGTHS):
        dense, seen = case.dense_map(movie), case.seen[movie, :length].ravel()
        covariance = dense @ case.prior_covariance(movie, relaxation_time) @ dense.T + np.eye(len(dense))
        density = multivariate_normal(cov=covariance).logpdf(seen)
        # What does not depend on the latent model: the density without a molecule.
        nothing = multivariate_normal(cov=np.eye(len(dense))).logpdf(seen)
        np.testing.assert_allclose(found[movie], density - nothing, atol=1e-9)


def test_short_relaxation_is_a_prior_without_time() -> None:
    case, shortest = Case(), torch.full((LATENT,), 1e-3, dtype=torch.float64)
    short, none = case.smooth(shortest), case.smooth(None)
    torch.testing.assert_close(short.mean[case.mask], none.mean[case.mask])
    torch.testing.assert_close(case.evidence(shortest), case.evidence(None))


def test_padding_counts_for_nothing() -> None:
    case, time = Case(), torch.tensor([3.0, 8.0], dtype=torch.float64)
    before, evidence_before = case.smooth(time), case.evidence(time)
    case.maps[~case.mask.numpy()] *= 7
    case.seen[~case.mask.numpy()] += 5
    case.interval[~case.mask] = 0.01
    after = case.smooth(time)
    torch.testing.assert_close(after.mean[case.mask], before.mean[case.mask])
    torch.testing.assert_close(after.covariance[case.mask], before.covariance[case.mask])
    torch.testing.assert_close(case.evidence(time), evidence_before)


def test_smoothing_runs_alike_in_both_directions_of_time() -> None:
    rng = torch.Generator().manual_seed(4)
    maps = torch.randn(1, 6, OBSERVED, LATENT, generator=rng, dtype=torch.float64)
    vector = torch.randn(1, 6, LATENT, generator=rng, dtype=torch.float64)
    interval = torch.tensor([[torch.inf, 0.5, 2.0, 1.0, 4.0, 0.3]], dtype=torch.float64)
    back = torch.cat((interval[:, :1], interval[:, 1:].flip(1)), dim=1)
    time, mask = torch.tensor([2.0, 5.0], dtype=torch.float64), torch.ones(1, 6, dtype=torch.bool)
    information = maps.mT @ maps
    forward = smooth(information, vector, interval, time, mask)
    backward = smooth(information.flip(1), vector.flip(1), back, time, mask)
    torch.testing.assert_close(backward.mean.flip(1), forward.mean)
    torch.testing.assert_close(backward.covariance.flip(1), forward.covariance)
    torch.testing.assert_close(
        evidence(information.flip(1), vector.flip(1), back, time, mask),
        evidence(information, vector, interval, time, mask),
    )


def test_evidence_has_the_gradient_of_finite_differences_in_the_relaxation_time() -> None:
    case, start = Case(), torch.tensor([1.5, 6.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(case.evidence, start)


def test_simultaneous_frames_and_strong_evidence_stay_finite_in_single_precision() -> None:
    interval = torch.tensor([[torch.inf, 0.0, 0.0, 1.0]])
    information = 1e4 * torch.eye(LATENT).expand(1, 4, -1, -1)
    truth = torch.tensor([1.0, -0.5])
    states = smooth(
        information, (information @ truth), interval, torch.full((LATENT,), 1e4), torch.ones(1, 4) > 0
    )
    torch.testing.assert_close(states.mean, truth.expand(1, 4, -1), atol=1e-3, rtol=0)
    assert (states.covariance.diagonal(dim1=-2, dim2=-1) > 0).all()


def test_the_filter_is_the_smoother_of_the_movie_so_far() -> None:
    case, times = Case(), torch.tensor([0.7, 12.0], dtype=torch.float64)
    maps, seen = torch.from_numpy(case.maps), torch.from_numpy(case.seen)
    information, vector = maps.mT @ maps, (maps.mT @ seen[..., None])[..., 0]
    mean, covariance = filtered(information, vector, case.interval, times, case.mask)
    for t in range(case.mask.shape[1]):
        so_far = slice(0, t + 1)
        cut = [x[:, so_far] for x in (information, vector, case.interval)]
        states = smooth(*cut, times, case.mask[:, so_far])
        there = case.mask[:, t]
        torch.testing.assert_close(mean[there, t], states.mean[there, t])
        torch.testing.assert_close(covariance[there, t], states.covariance[there, t])

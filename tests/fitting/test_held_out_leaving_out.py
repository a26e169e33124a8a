"""Leaving frames out, against smoothing again without them and against dense Gaussian conditioning."""

import math

import pytest
import torch
from torch import Tensor

from temporem.fitting.held_out.leaving_out import leave_each_out, log_predictive
from temporem.fitting.held_out.score import over_movies
from temporem.model.batches import MovieBatch
from temporem.model.smoothing import smooth

LATENT, MEASURED = 3, 5


def ragged() -> MovieBatch:
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    interval = torch.full((3, 5), math.inf)
    interval[0, 1:] = torch.tensor([1.0, 2.0, 0.5, 1.0])
    interval[1, 1:3] = torch.tensor([3.0, 1.0])
    return MovieBatch(torch.arange(int(mask.sum())), interval, mask)


def told(frames: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Design, data, H and b of frames with unit noise."""
    generator = torch.Generator().manual_seed(1)
    design = scale * torch.randn(frames, MEASURED, LATENT, generator=generator).double()
    data = torch.randn(frames, MEASURED, generator=generator).double() + design.sum(-1)
    return design, data, design.mT @ design, (design.mT @ data[..., None])[..., 0]


TIME = torch.tensor([1.0, 4.0, 20.0])


@pytest.mark.parametrize("scale", [0.3, 1.0, 300.0])
def test_it_is_what_smoothing_without_the_frame_gives(scale: float) -> None:
    batch = ragged()
    _, _, matrix, vector = told(len(batch.rows), scale)
    found = leave_each_out(matrix, vector, batch, TIME)
    for frame in range(len(batch.rows)):
        kept = torch.ones(len(batch.rows)).double()
        kept[frame] = 0
        again = smooth(
            batch.pad(matrix * kept[:, None, None]),
            batch.pad(vector * kept[:, None]),
            batch.interval.double(),
            TIME.double(),
            batch.mask,
        )
        torch.testing.assert_close(found.mean[frame], again.mean[batch.mask][frame], rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(
            found.covariance[frame], again.covariance[batch.mask][frame], rtol=1e-5, atol=1e-8
        )


def test_the_predictive_density_is_that_of_the_joint_gaussian() -> None:
    """All frames of a movie are one Gaussian vector; condition it on all but one frame."""
    batch = ragged()
    design, data, matrix, vector = told(len(batch.rows))
    found = log_predictive(leave_each_out(matrix, vector, batch, TIME), matrix, vector)
    for movie in range(2):
        rows = batch.pad(batch.rows[:, None].double())[movie, batch.mask[movie], 0].long()
        clock = batch.interval[movie, batch.mask[movie]].nan_to_num(posinf=0.0).cumsum(0).double()
        decay = torch.exp(-(clock[:, None] - clock).abs()[..., None] / TIME)
        blocks = torch.einsum("tmi,tui,uni->tmun", design[rows], decay.double(), design[rows])
        size = len(rows) * MEASURED
        covariance = blocks.reshape(size, size) + torch.eye(size)
        x = data[rows].flatten()
        for t, row in enumerate(rows.tolist()):
            here = torch.zeros(size, dtype=torch.bool)
            here[t * MEASURED : (t + 1) * MEASURED] = True
            gain = torch.linalg.solve(covariance[~here][:, ~here], covariance[~here][:, here]).T
            density = torch.distributions.MultivariateNormal(
                gain @ x[~here], covariance[here][:, here] - gain @ covariance[~here][:, here]
            )
            still = torch.distributions.Normal(0.0, 1.0).log_prob(x[here]).sum()
            torch.testing.assert_close(found[row], density.log_prob(x[here]) - still)


def test_a_lone_frame_and_a_prior_without_time_know_nothing() -> None:
    batch = ragged()
    _, _, matrix, vector = told(len(batch.rows))
    lone = leave_each_out(matrix, vector, batch, TIME)
    without = leave_each_out(matrix, vector, batch, None)
    torch.testing.assert_close(lone.mean[-1], torch.zeros(LATENT).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(lone.covariance[-1], torch.eye(LATENT).double(), atol=1e-9, rtol=0)
    assert (without.mean == 0).all()
    assert (without.covariance == torch.eye(LATENT)).all()


def test_the_standard_error_is_over_movies() -> None:
    """Copies of a frame in its movie tell nothing new; equal movies leave the plain standard error."""
    value = torch.randn(40, generator=torch.Generator().manual_seed(0))
    movie = torch.arange(40)
    once, thrice = over_movies(value, movie), over_movies(value.repeat(3), movie.repeat(3))
    assert once.standard_error == pytest.approx(float(value.std()) / math.sqrt(40))
    assert thrice.standard_error == pytest.approx(once.standard_error)
    assert thrice.nats_per_frame == pytest.approx(once.nats_per_frame)
    assert over_movies(value, 0 * movie).standard_error == math.inf

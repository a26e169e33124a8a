"""Relaxation times by likelihood, on states whose own time is known."""

import math

import pytest
import torch
from blob_movies import blob_store

from temporem.fitting.deformation_states import Told, likeliest_relaxation_time, smoothed
from temporem.model.smoothing import evidence

MOVIES, FRAMES = 80, 20
TRUE = torch.tensor([2.0, 8.0])


def test_noise_does_not_slow_the_likeliest_time() -> None:
    generator = torch.Generator().manual_seed(0)
    store = blob_store(torch.zeros(MOVIES, FRAMES), 8, snr=1.0)
    z = torch.randn(MOVIES, 1, 2, generator=generator)
    decay = torch.exp(-1 / TRUE)
    for _ in range(FRAMES - 1):
        kick = torch.randn(MOVIES, 1, 2, generator=generator) * (1 - decay**2).sqrt()
        z = torch.cat((z, decay * z[:, -1:] + kick), 1)
    known = torch.tensor([[3.0, 1.0], [1.0, 3.0]])
    noise = torch.randn(MOVIES * FRAMES, 2, generator=generator) @ torch.linalg.cholesky(known).T
    told = Told(known.expand(MOVIES * FRAMES, 2, 2), z.flatten(0, 1) @ known + noise)
    found = likeliest_relaxation_time(told, store, torch.tensor([5.0, 5.0]))
    torch.testing.assert_close(found.log(), TRUE.log(), atol=0.2, rtol=0)
    # The control: a time from the correlation of the means comes out too long.
    mean = smoothed(told, store, found).mean.reshape(MOVIES, FRAMES, 2)
    correlation = (mean[:, 1:] * mean[:, :-1]).mean((0, 1)) / mean.square().mean((0, 1))
    assert -1 / math.log(correlation[0]) > 1.3 * TRUE[0]


@pytest.mark.parametrize("first", [0.4, 5.0, 20.0, 90.0])
def test_wherever_the_search_begins_it_ends_at_the_likeliest(first: float) -> None:
    """Slow states that are known well: a search that may step beyond the bounds stays there."""
    generator = torch.Generator().manual_seed(1)
    store = blob_store(torch.zeros(60, 15), 8, snr=1.0)
    z, decay = torch.randn(60, 1, 1, generator=generator), math.exp(-1 / 60)
    for _ in range(14):
        kick = torch.randn(60, 1, 1, generator=generator) * math.sqrt(1 - decay**2)
        z = torch.cat((z, decay * z[:, -1:] + kick), 1)
    noise = torch.randn(900, 1, generator=generator) * math.sqrt(1000)
    told = Told(torch.full((900, 1, 1), 1000.0), z.reshape(-1, 1) * 1000 + noise)
    found = float(likeliest_relaxation_time(told, store, torch.tensor([first])))
    assert found == pytest.approx(58.8, rel=0.01)
    times = [torch.tensor([found * x]) for x in (0.9, 1.0, 1.1)]
    batch = store.movies(torch.arange(60))
    blocks = batch.pad(told.matrix.double()), batch.pad(told.vector.double())
    lower, best, higher = (
        float(evidence(*blocks, batch.interval, x.double(), batch.mask).sum()) for x in times
    )
    assert best > max(lower, higher)


def test_what_does_not_change_or_has_no_memory_gets_the_bounds() -> None:
    store = blob_store(torch.zeros(MOVIES, FRAMES), 8, snr=1.0)
    generator = torch.Generator().manual_seed(1)
    still = torch.randn(MOVIES, 1, 1, generator=generator).expand(-1, FRAMES, -1).reshape(-1, 1)
    restless = torch.randn(MOVIES * FRAMES, 1, generator=generator)
    precision = 50 * torch.eye(2).expand(MOVIES * FRAMES, 2, 2)
    told = Told(precision, 50 * torch.cat((still, restless), 1))
    slow, fast = likeliest_relaxation_time(told, store, torch.tensor([5.0, 5.0])).tolist()
    assert slow > 50
    assert fast < 0.5

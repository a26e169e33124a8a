"""Chains of candidate rotations: the recursion against the sum over all paths, and tumbling that is known."""

import itertools
import math

import torch
from blob_movies import store_of
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.diffusion import learn_tumbling
from temporem.fitting.poses.search import Candidates
from temporem.physics.rotational_heat import log_heat_kernel
from temporem.physics.rotations import angular_distance, random_rotations, rotational_diffusion


def chain(movies: int, frames: int) -> FrameStore:
    """As many movies; what their images show does not matter."""
    rows = torch.arange(movies * frames).numpy()
    unturned = torch.eye(3).expand(len(rows), 3, 3).clone()
    images = torch.ones(len(rows), 16, 16)
    return store_of(images, unturned, rows // frames, rows % frames * 1.0, 1.0)


def candidates(rotation: Tensor, log_likelihood: Tensor) -> Candidates:
    frames, most = log_likelihood.shape
    return Candidates(rotation, torch.zeros(frames, most, 2), log_likelihood, log_likelihood.logsumexp(-1))


def test_messages_are_sums_over_all_paths() -> None:
    frames, most, spacing = 4, 3, 0.25
    generator = torch.Generator().manual_seed(0)
    rotation = random_rotations(frames * most, generator).unflatten(0, (frames, most))
    likelihood = torch.randn(frames, most, generator=generator)
    found = learn_tumbling(chain(1, frames), candidates(rotation, likelihood), spacing)
    totals = torch.full((frames, most), -math.inf)
    time = torch.tensor(found.coefficient + spacing**2 / 12)
    for path in itertools.product(range(most), repeat=frames):
        turns = [
            angular_distance(rotation[t, path[t]], rotation[t + 1, path[t + 1]]) for t in range(frames - 1)
        ]
        weight = sum(float(log_heat_kernel(turn, time)) for turn in turns)
        weight += sum(float(likelihood[t, m]) for t, m in enumerate(path))
        for t, m in enumerate(path):
            totals[t, m] = torch.logaddexp(totals[t, m], torch.tensor(weight))
    marginal = torch.softmax(found.message + likelihood, -1)
    assert torch.allclose(marginal, torch.softmax(totals, -1), atol=1e-4)


def tumbling(coefficient: float) -> Candidates:
    """The true rotation of every frame among others as likely."""
    movies, frames, most = 30, 10, 6
    generator = torch.Generator().manual_seed(1)
    start = random_rotations(movies, generator)
    true = rotational_diffusion(start, coefficient, torch.ones(frames - 1), generator).flatten(0, 1)
    rotation = random_rotations(movies * frames * most, generator).unflatten(0, (movies * frames, most))
    rotation[:, 2] = true
    return candidates(rotation, torch.zeros(movies * frames, most))


def test_diffusion_is_found_and_tells_the_true_candidate_from_others() -> None:
    found = learn_tumbling(chain(30, 10), tumbling(0.02), 0.05)
    assert 0.01 < found.coefficient < 0.04
    assert (found.message.argmax(-1) == 2).float().mean() > 0.95
    assert found.gain > 1


def test_independent_frames_are_found_to_be_so() -> None:
    found = learn_tumbling(chain(30, 10), tumbling(1000.0), 0.05)
    assert found.coefficient > 0.5
    assert found.message.abs().max() < 1

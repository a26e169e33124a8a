"""Choosing without a truth: what moves is found to move, what stands still to stand still."""

import math

import pytest
import torch
from blob_movies import blob_store, silent, swinging
from torch import Tensor

from temporem.fitting.consensus import find_consensus
from temporem.fitting.held_out.score import HeldOutScore, over_movies
from temporem.fitting.held_out.subspace import STEPS, SubspaceScores, fit_folds, score_subspaces
from temporem.fitting.held_out.verdict import motion_sentence, subspace_facts, time_sentence

MOVIES, FRAMES = 24, 8


def scores_of(state: Tensor, snr: float) -> SubspaceScores:
    store = blob_store(state, snr=snr)
    generator = torch.Generator().manual_seed(0)
    folds = fit_folds(store, find_consensus(store).volume, 4, generator, silent)
    return score_subspaces(folds, (1, 2, 4))


def drifting() -> Tensor:
    """There and back in 32 frames, from a phase of each movie's own."""
    phase = torch.linspace(0, 2 * math.pi, MOVIES + 1)[:-1, None]
    return 0.5 + 0.5 * torch.sin(phase + torch.arange(FRAMES) * 2 * math.pi / 32)


def test_motion_is_found_and_neighbours_tell_of_it() -> None:
    scores = scores_of(drifting(), snr=0.5)
    assert motion_sentence(scores).startswith("Motion found: ")
    assert time_sentence(scores).startswith("Time helps: ")
    facts = subspace_facts(scores)
    assert facts["motion_found"] is True
    assert facts["by_latent_dim"]["1"]["movies"] == MOVIES
    assert facts["by_latent_dim"]["1"]["frames"] == MOVIES * FRAMES


def test_states_in_random_order_have_no_time() -> None:
    order = torch.randperm(MOVIES * FRAMES, generator=torch.Generator().manual_seed(0))
    scores = scores_of(drifting().flatten()[order].reshape(MOVIES, FRAMES), snr=0.5)
    assert motion_sentence(scores).startswith("No motion found, but states that differ: ")
    assert time_sentence(scores).startswith("Time does not help: ")


@pytest.mark.parametrize("snr", [0.1, 0.5, 2.0])
def test_no_motion_is_found_where_there_is_none(snr: float) -> None:
    scores = scores_of(torch.full((MOVIES, FRAMES), 0.3), snr)
    assert motion_sentence(scores).startswith("No motion found: ")
    assert time_sentence(scores) == ""
    assert subspace_facts(scores)["motion_found"] is False


def test_molecules_that_differ_and_stand_still_do_not_move() -> None:
    scores = scores_of(torch.linspace(0, 1, MOVIES)[:, None].expand(MOVIES, FRAMES), snr=0.5)
    assert motion_sentence(scores).startswith("No motion found, but states that differ: ")
    assert time_sentence(scores).startswith("Time helps: ")
    assert subspace_facts(scores)["motion_found"] is False


@pytest.mark.parametrize(
    ("nats", "best"),
    [
        # Within one standard error of the highest.
        ({1: [0.0, 0.2, 0.1, 0.3], 2: [1.0, 1.1, 1.3, 1.2], 4: [1.1, 1.0, 1.25, 1.3], 8: [0.9, 1, 1, 1]}, 2),
        # Surely below the highest, by less than a hundredth of it.
        ({1: [98.0, 78.0], 2: [99.5, 79.5], 4: [100.0, 80.0]}, 2),
        ({1: [-1.0, -1.2], 2: [-1.5, -1.6]}, 1),
    ],
)
def test_the_fewest_components_that_tell_as_much_as_the_best_are_taken(
    nats: dict[int, list[float]], best: int
) -> None:
    values = {d: torch.tensor(x) for d, x in nats.items()}
    highest = max(values.values(), key=lambda x: float(x.mean()))

    def scored(of: dict[int, Tensor]) -> dict[int, HeldOutScore]:
        return {d: over_movies(x, torch.arange(len(x))) for d, x in of.items()}

    below = scored({d: highest - x for d, x in values.items()})
    assert SubspaceScores(scored(values), below, scored(values), scored(values)).best == best


def test_each_epoch_is_told() -> None:
    store = blob_store(swinging(4, 3))
    told = []
    generator = torch.Generator().manual_seed(0)
    fit_folds(store, find_consensus(store).volume, 1, generator, lambda count, _: told.append(count))
    assert sum(told) == STEPS

"""Volumes along the states, scored on movies that neither they nor the subspace have seen."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.anchors import Anchored, anchor_count, repeat_anchors
from temporem.fitting.consensus import Consensus, find_consensus
from temporem.fitting.held_out.frames import score_volumes
from temporem.fitting.held_out.score import HeldOutScore
from temporem.fitting.held_out.subspace import Fold
from temporem.fitting.linear import LinearStates, find_volumes
from temporem.fitting.subspace_fit import subspace_posterior
from temporem.model.anchor_generator import AnchorGenerator
from temporem.progress import progress

__all__ = ["score_fold_volumes"]


def score_fold_volumes(
    fold: Fold, components: int, consensus: Consensus, like: Anchored | None, seed: int
) -> HeldOutScore:
    """Score the linear method on a fold's scored movies, above the consensus of its fitted ones.

    States of the scored frames come from the other frames of their movies. `consensus` is that of all
    frames, and gives no more than the mask. `like`, volumes of all movies where the fold's are half of them,
    saves choosing bandwidths and prior again: these few numbers the scored movies had a part in.
    """
    subspace, time = fold.first(components), fold.relaxation_time[:components]
    states = LinearStates(subspace, time, subspace_posterior(subspace, fold.fitted, time))
    own = replace(find_consensus(fold.fitted), mask=consensus.mask)
    generator = _volumes(fold, states, own, like, seed)
    return score_volumes(generator, _by_row(fold, components), own.volume, fold.scored)


def _volumes(
    fold: Fold, states: LinearStates, consensus: Consensus, like: Anchored | None, seed: int
) -> AnchorGenerator:
    if like is None:
        return find_volumes(fold.fitted, states, consensus, seed).generator
    z = states.posterior.mean.to(fold.fitted.device)
    with progress("Volumes of half the movies", anchor_count(len(fold.fitted))) as advance:
        given = (consensus.volume, consensus.mask, like, seed, advance)
        return repeat_anchors(fold.fitted, z, states.metric, *given)


def _by_row(fold: Fold, components: int) -> Float[Tensor, "frames latent"]:
    """Means of the states left out, in the order of rows."""
    mean = fold.left_out(components).mean
    rows = torch.cat([torch.from_numpy(rows) for rows in fold.scored.movie_rows])
    z = torch.empty_like(mean, dtype=torch.float32)
    z[rows] = mean.float()
    return z

"""Time in the poses: rotational diffusion from frame to frame, over each frame's candidate rotations.

A hidden Markov chain per movie: the candidates' likelihoods are its emissions, diffusion's heat kernel its
transitions, the uniform distribution its start. The coefficient is that of greatest likelihood; ∞, frames
independent of each other as in the paper, is one of those tried.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.search import Candidates
from temporem.physics.rotational_heat import log_heat_kernel
from temporem.physics.rotations import angular_distance

__all__ = ["COEFFICIENTS", "Tumbling", "learn_tumbling"]

COEFFICIENTS = (*np.geomspace(1e-3, 1.0, 16).tolist(), math.inf)
"""Tried, in rad² per usual interval between frames."""


@dataclass(frozen=True, eq=False)
class Tumbling:
    """What the neighbours in time say of each frame's rotation."""

    coefficient: float
    """Rad² per usual interval between frames."""
    gain: float
    """Log likelihood over that of independent frames, per frame."""
    message: Float[Tensor, "frames candidates"]
    """Log density of each candidate given all other frames of its movie, relative to the uniform one."""


def learn_tumbling(store: FrameStore, candidates: Candidates, grid_spacing: float) -> Tumbling:
    """The diffusion coefficient of all movies, and its messages.

    `candidates` are points of a grid with that spacing in radians: their kernels are widened by its cells.
    """
    widening = grid_spacing**2 / 12
    chains = _chains(store, candidates)
    scores = [sum(_forward_backward(*chain, d, widening)[0] for chain in chains) for d in COEFFICIENTS]
    best = max(range(len(scores)), key=lambda index: scores[index])
    message = torch.zeros_like(candidates.log_likelihood)
    for rows, chain in zip(store.movie_rows, chains, strict=True):
        message[torch.as_tensor(rows.copy())] = _forward_backward(*chain, COEFFICIENTS[best], widening)[1]
    gain = (scores[best] - scores[-1]) / max(1, len(store))
    return Tumbling(COEFFICIENTS[best], gain, message)


def _chains(store: FrameStore, candidates: Candidates) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each movie: emissions (t, m), angles between neighbours' candidates (t − 1, m, m), intervals."""
    chains = []
    for index, rows in enumerate(store.movie_rows):
        own = torch.as_tensor(rows.copy())
        rotation = candidates.rotation[own]
        steps, most = len(own) - 1, rotation.shape[1]
        before = rotation[:-1, :, None].expand(steps, most, most, 3, 3)
        angle = angular_distance(before, rotation[1:, None].expand_as(before))
        interval = store.movies(torch.tensor([index])).interval[0, 1 : len(own)].cpu()
        # A frame that no candidate explains says nothing, rather than that all are impossible.
        emission = candidates.log_likelihood[own] - candidates.evidence[own, None]
        chains.append((emission, angle, interval))
    return chains


def _forward_backward(
    emission: Float[Tensor, "frames candidates"],
    angle: Float[Tensor, "steps candidates candidates"],
    interval: Float[Tensor, " steps"],
    coefficient: float,
    widening: float,
) -> tuple[float, Float[Tensor, "frames candidates"]]:
    """Log likelihood of a movie, up to a constant, and the messages to its frames."""
    time = (coefficient * interval + widening)[:, None, None].expand_as(angle)
    kernel = log_heat_kernel(angle, time)
    frames = len(emission)
    forward, backward = torch.zeros_like(emission), torch.zeros_like(emission)
    for t in range(1, frames):
        told = (forward[t - 1] + emission[t - 1])[:, None] + kernel[t - 1]
        # Kept as densities: the sum of what was before is divided out, and counted at the end.
        forward[t] = told.logsumexp(0) - (forward[t - 1] + emission[t - 1]).logsumexp(0)
    for t in range(frames - 2, -1, -1):
        told = (backward[t + 1] + emission[t + 1])[None] + kernel[t]
        backward[t] = told.logsumexp(1) - (backward[t + 1] + emission[t + 1]).logsumexp(0)
    evidence = (forward + emission).logsumexp(-1).sum()
    return float(evidence), forward + backward

"""How many components the data bear: the linear subspace of some movies, scored on the frames of others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.leaving_out import leave_each_out, log_predictive
from temporem.fitting.held_out.score import HeldOutScore, over_movies
from temporem.fitting.subspace_fit import (
    START_RELAXATION_TIME,
    fit_subspace,
    order_components,
    start_subspace,
    subspace_radius,
)
from temporem.model.batches import MovieBatch
from temporem.model.subspace import FrameInformation, LinearSubspace

__all__ = ["CANDIDATES", "FEWEST_MOVIES", "STEPS", "SubspaceScores", "score_subspaces"]

CANDIDATES = (1, 2, 3, 4, 6, 8)
"""Numbers of components compared."""
FEWEST_MOVIES = 4
"""Two to fit, two to score."""
FIRST_EPOCHS, FIRST_RATE = 12, 0.1
"""Each frame alone: then components can be turned, and ordered by how much they move."""
TIMED_EPOCHS, TIMED_RATE = 6, 0.04
STEPS = 2 * (FIRST_EPOCHS + TIMED_EPOCHS)
FRAMES_AT_ONCE = 200


@dataclass(frozen=True)
class SubspaceScores:
    """Log likelihoods of frames by movies they are not of, and by the other frames of their own."""

    by_dimension: Mapping[int, HeldOutScore]
    """Above one volume for all frames, by number of components."""
    below_best: Mapping[int, HeldOutScore]
    """The highest score above each one, frame by frame."""
    time: Mapping[int, HeldOutScore]
    """Above the same components with states that know nothing of the frames before and after."""

    @property
    def best(self) -> int:
        """The fewest components that are within one standard error of the highest score."""
        return min(d for d, below in self.below_best.items() if below.nats_per_frame <= below.standard_error)


def score_subspaces(
    store: FrameStore,
    consensus: Float[Tensor, "n n n"],
    candidates: Sequence[int],
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> SubspaceScores:
    """Fit the subspace on every second movie, foretell the frames of the others; and the other way round.

    One fit of the most components serves all numbers of them: the first d stand for a fit of d.
    `advance` is told of each of `STEPS` epochs.

    Raises UserError where numbers are lost to overflow.
    """
    movies = range(len(store.movie_rows))
    timed: dict[int, list[Tensor]] = {d: [] for d in candidates}
    lone: dict[int, list[Tensor]] = {d: [] for d in candidates}
    movie: list[Tensor] = []
    for turn in (0, 1):
        fitted = _fit(store.only(movies[turn::2]), consensus, max(candidates), generator, advance)
        subspace, relaxation_time = fitted
        others = movies[1 - turn :: 2]
        batch = store.movies(torch.tensor(others))
        told = _information(subspace, store, batch.rows)
        for d in candidates:
            matrix, vector = told.matrix[:, :d, :d], told.vector[:, :d]
            for time, scores in ((relaxation_time[:d], timed), (None, lone)):
                states = leave_each_out(matrix, vector, batch, time)
                scores[d].append(log_predictive(states, matrix, vector))
        movie.append(_movie(batch, others))
    index = torch.cat(movie)
    nats = {d: torch.cat(scores) for d, scores in timed.items()}
    highest = max(nats.values(), key=lambda scores: float(scores.mean()))
    return SubspaceScores(
        {d: over_movies(scores, index) for d, scores in nats.items()},
        {d: over_movies(highest - scores, index) for d, scores in nats.items()},
        {d: over_movies(scores - torch.cat(lone[d]), index) for d, scores in nats.items()},
    )


def _fit(
    store: FrameStore,
    consensus: Float[Tensor, "n n n"],
    components: int,
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> tuple[LinearSubspace, Float[Tensor, " latent"]]:
    box = store.lattice.box_size
    subspace = LinearSubspace(box, components, subspace_radius(box, store.pixel_size_in_angstroms))
    subspace.to(store.device)

    def told(loss: float) -> None:
        advance(1, f"−log likelihood {loss:.1f}")

    start_subspace(subspace, consensus, generator)
    fit_subspace(subspace, store, None, FIRST_EPOCHS, FIRST_RATE, generator, told)
    order_components(subspace)
    start = torch.full((components,), START_RELAXATION_TIME, device=store.device)
    found = fit_subspace(subspace, store, start, TIMED_EPOCHS, TIMED_RATE, generator, told)
    return subspace, start if found is None else found


@torch.no_grad()
def _information(
    subspace: LinearSubspace, store: FrameStore, rows: Int[Tensor, " frames"]
) -> FrameInformation:
    parts = []
    for chunk in torch.split(rows, FRAMES_AT_ONCE):
        frames = store.frames(chunk, subspace.coefficients_used(store.lattice))
        parts.append(
            subspace.information(frames.coefficients, frames.transfer, frames.rotation, store.lattice)
        )
    return FrameInformation(
        torch.cat([part.matrix for part in parts]),
        torch.cat([part.vector for part in parts]),
        torch.cat([part.squared_residual for part in parts]),
    )


def _movie(batch: MovieBatch, movies: Sequence[int]) -> Int[Tensor, " frames"]:
    """The movie of each frame of a batch."""
    return torch.tensor(movies)[batch.mask.cpu().nonzero()[:, 0]]

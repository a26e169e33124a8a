"""How many components the data bear: the linear subspace of some movies, scored on the frames of others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.leaving_out import LeftOut, leave_each_out, log_predictive
from temporem.fitting.held_out.score import HeldOutScore, over_movies
from temporem.fitting.subspace_fit import (
    FIRST_EPOCHS,
    FIRST_RATE,
    START_RELAXATION_TIME,
    fit_subspace,
    order_components,
    start_subspace,
    subspace_radius,
)
from temporem.fitting.threads import abreast, side_by_side
from temporem.model.batches import MovieBatch
from temporem.model.subspace import FrameInformation, LinearSubspace

__all__ = ["CANDIDATES", "STEPS", "Fold", "SubspaceScores", "fit_folds", "score_subspaces"]

CANDIDATES = (1, 2, 3, 4, 6, 8)
"""Numbers of components compared."""
TIMED_EPOCHS, TIMED_RATE = 4, 0.04
"""Of a fold's subspace with time, after the first without."""
STEPS = 2 * (FIRST_EPOCHS + TIMED_EPOCHS)
TELLING = 0.01
"""More components that add less than this part of the score blur the volumes more than they tell."""
FRAMES_AT_ONCE = 200


@dataclass(frozen=True)
class Fold:
    """A subspace fitted to some movies, and what the frames of others tell in it."""

    fitted: FrameStore
    scored: FrameStore
    subspace: LinearSubspace
    """Its components in order: the first d of them stand for a fit of d."""
    relaxation_time: Float[Tensor, " latent"]
    told: FrameInformation
    """Of the scored frames, movie by movie."""

    def first(self, components: int) -> LinearSubspace:
        """V₀ and the first components alone."""
        part = LinearSubspace(self.subspace.box_size, components, self.subspace.radius)
        part.requires_grad_(False).to(self.subspace.parts.device)
        part.parts.copy_(self.subspace.parts.detach()[: components + 1])
        return part

    def left_out(self, components: int) -> LeftOut:
        """States of the scored frames from the other frames of their movies, movie by movie."""
        time = self.relaxation_time[:components]
        return leave_each_out(*self.natural(components), _all_movies(self.scored), time)

    def natural(
        self, components: int
    ) -> tuple[Float[Tensor, "frames latent latent"], Float[Tensor, "frames latent"]]:
        """H and b of the first components."""
        return self.told.matrix[:, :components, :components], self.told.vector[:, :components]


@dataclass(frozen=True)
class SubspaceScores:
    """Log likelihoods of frames by movies they are not of, and by the other frames of their own."""

    by_dimension: Mapping[int, HeldOutScore]
    """Above one volume for all frames, by number of components."""
    below_best: Mapping[int, HeldOutScore]
    """The highest score above each one, frame by frame."""
    time: Mapping[int, HeldOutScore]
    """Above the same components with states that know nothing of the frames before and after."""
    order: Mapping[int, HeldOutScore]
    """Above the same with the frames of each movie in random order: what changes has an order, molecules that
    differ have none."""

    @property
    def best(self) -> int:
        """The fewest components within one standard error, or `TELLING` of its size, of the highest score."""
        highest = max(score.nats_per_frame for score in self.by_dimension.values())
        return min(
            d
            for d, below in self.below_best.items()
            if below.nats_per_frame <= max(below.standard_error, TELLING * highest)
        )


def fit_folds(
    store: FrameStore,
    consensus: Float[Tensor, "n n n"],
    components: int,
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> tuple[Fold, Fold]:
    """Fit every second movie and keep the others for scoring; and the other way round.

    `advance` is told of each of `STEPS` epochs.

    Raises UserError where numbers are lost to overflow.
    """
    halves = [store.only(range(turn, len(store.movie_rows), 2)) for turn in (0, 1)]
    seeds = torch.randint(2**31, (2,), generator=generator).tolist()

    def fit(fitted: int) -> Fold:
        own = torch.Generator().manual_seed(seeds[fitted])
        return _fit_fold(halves[fitted], halves[1 - fitted], consensus, components, own, advance)

    box = 2 * subspace_radius(store.lattice.box_size, store.pixel_size_in_angstroms)
    first, second = side_by_side(fit, (0, 1), abreast(box, store.device, store.processes.count))
    return first, second


def score_subspaces(folds: Sequence[Fold], candidates: Sequence[int]) -> SubspaceScores:
    """Foretell each fold's scored frames from the other frames of their movies."""
    generator = torch.Generator().manual_seed(0)
    shuffles = [_shuffle(fold.scored, generator) for fold in folds]
    nats: dict[int, list[Tensor]] = {d: [] for d in candidates}
    lone: dict[int, list[Tensor]] = {d: [] for d in candidates}
    shuffled: dict[int, list[Tensor]] = {d: [] for d in candidates}
    for d in candidates:
        for fold, shuffle in zip(folds, shuffles, strict=True):
            time, batch = fold.relaxation_time[:d], _all_movies(fold.scored)
            matrix, vector = fold.natural(d)
            nats[d].append(_foretold(matrix, vector, batch, time))
            lone[d].append(_foretold(matrix, vector, batch, None))
            shuffled[d].append(_foretold(matrix[shuffle], vector[shuffle], batch, time))
    movie = torch.cat([_movie(fold.scored) * len(folds) + turn for turn, fold in enumerate(folds)])
    foretold = {d: torch.cat(scores) for d, scores in nats.items()}
    highest = max(foretold.values(), key=lambda scores: float(scores.mean()))
    return SubspaceScores(
        {d: over_movies(scores, movie) for d, scores in foretold.items()},
        {d: over_movies(highest - scores, movie) for d, scores in foretold.items()},
        {d: over_movies(scores - torch.cat(lone[d]), movie) for d, scores in foretold.items()},
        {d: over_movies(scores - torch.cat(shuffled[d]), movie) for d, scores in foretold.items()},
    )


def _fit_fold(
    fitted: FrameStore,
    scored: FrameStore,
    consensus: Float[Tensor, "n n n"],
    components: int,
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> Fold:
    box = fitted.lattice.box_size
    subspace = LinearSubspace(box, components, subspace_radius(box, fitted.pixel_size_in_angstroms))
    subspace.to(fitted.device)

    def told(loss: float) -> None:
        advance(1, f"−log likelihood {loss:.1f}")

    start_subspace(subspace, consensus, generator)
    fit_subspace(subspace, fitted, None, FIRST_EPOCHS, FIRST_RATE, generator, told)
    order_components(subspace)
    start = torch.full((components,), START_RELAXATION_TIME, device=fitted.device)
    found = fit_subspace(subspace, fitted, start, TIMED_EPOCHS, TIMED_RATE, generator, told)
    return Fold(fitted, scored, subspace, start if found is None else found, _told(subspace, scored))


@torch.no_grad()
def _told(subspace: LinearSubspace, store: FrameStore) -> FrameInformation:
    """What a store's frames tell, movie by movie."""
    parts = []
    rows = torch.cat([torch.from_numpy(rows) for rows in store.movie_rows])
    for chunk in torch.split(store.processes.share(rows), FRAMES_AT_ONCE):
        frames = store.frames(chunk, subspace.coefficients_used(store.lattice))
        parts.append(
            subspace.information(frames.coefficients, frames.transfer, frames.rotation, store.lattice)
        )
    told = (
        torch.cat([part.matrix for part in parts]),
        torch.cat([part.vector for part in parts]),
        torch.cat([part.squared_residual for part in parts]),
    )
    return FrameInformation(*(store.processes.whole(part, len(rows)) for part in told))


def _foretold(
    matrix: Float[Tensor, "frames latent latent"],
    vector: Float[Tensor, "frames latent"],
    batch: MovieBatch,
    relaxation_time: Float[Tensor, " latent"] | None,
) -> Float[Tensor, " frames"]:
    return log_predictive(leave_each_out(matrix, vector, batch, relaxation_time), matrix, vector)


def _all_movies(store: FrameStore) -> MovieBatch:
    return store.movies(torch.arange(len(store.movie_rows)))


def _shuffle(store: FrameStore, generator: torch.Generator) -> Int[Tensor, " frames"]:
    """The frames of each movie in random order, movie by movie."""
    shuffled, first = [], 0
    for rows in store.movie_rows:
        shuffled.append(first + torch.randperm(len(rows), generator=generator))
        first += len(rows)
    return torch.cat(shuffled)


def _movie(store: FrameStore) -> Int[Tensor, " frames"]:
    """The movie of each frame, movie by movie."""
    return torch.cat([torch.full((len(rows),), index) for index, rows in enumerate(store.movie_rows)])

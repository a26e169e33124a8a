"""What every reconstruction asks first: does anything move, does time tell of it, and how many components?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting.anchors import Anchored
from temporem.fitting.consensus import Consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out import subspace
from temporem.fitting.held_out.score import HeldOutScore
from temporem.fitting.held_out.subspace import CANDIDATES, Fold, SubspaceScores, fit_folds, score_subspaces
from temporem.fitting.held_out.verdict import score_facts, subspace_facts, volumes_sentence
from temporem.fitting.held_out.volumes import score_fold_volumes
from temporem.progress import progress

__all__ = ["FEWEST_MOVIES", "Judgement", "judge"]

FEWEST_MOVIES = 4
"""Two to fit, two to score."""
MOST_FRAMES = 10_000
"""Of movies drawn at random: more would take longer and choose no better."""


@dataclass(frozen=True)
class Judgement:
    """The scores, and the two folds that they are of."""

    folds: Sequence[Fold]
    scores: SubspaceScores
    of_all: bool
    """Whether the folds share out all movies, and not some that were drawn."""

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON holds them."""
        return subspace_facts(self.scores)

    def volumes(self, components: int, consensus: Consensus, like: Anchored, seed: int) -> dict[str, Any]:
        """Score volumes along the states of so many components, made as `like` was of all movies.

        More components than were compared are scored as the most that were. Empty if half the movies have no
        volume.
        """
        most = self.folds[0].subspace.latent_dim
        score = self._score(min(components, most), consensus, like if self.of_all else None, seed)
        return {} if score is None else {"volumes": volumes_sentence(score), **score_facts(score)}

    def _score(
        self, components: int, consensus: Consensus, like: Anchored | None, seed: int
    ) -> HeldOutScore | None:
        try:
            # Its scored movies are those whose frames chose no bandwidths (`choose_bandwidths`).
            return score_fold_volumes(self.folds[1], components, consensus, like, seed)
        except UserError:
            # All frames together had a consensus; half of them may have none.
            return None


def judge(store: FrameStore, consensus: Float[Tensor, "n n n"], seed: int) -> Judgement | None:
    """Compare numbers of components of the linear subspace on movies left out; None for too few movies.

    Raises UserError where numbers are lost to overflow.
    """
    if len(store.movie_rows) < FEWEST_MOVIES:
        return None
    generator = torch.Generator().manual_seed(seed)
    part = store.only(_drawn(store, generator))
    with progress("Held-out frames", subspace.STEPS) as advance:
        folds = fit_folds(part, consensus, max(CANDIDATES), generator, advance)
    of_all = len(part.movie_rows) == len(store.movie_rows)
    return Judgement(folds, score_subspaces(folds, CANDIDATES), of_all)


def _drawn(store: FrameStore, generator: torch.Generator) -> list[int]:
    """Movies at random, up to the most frames, but never too few movies."""
    chosen: list[int] = []
    frames = 0
    for movie in torch.randperm(len(store.movie_rows), generator=generator).tolist():
        if len(chosen) >= FEWEST_MOVIES and frames + len(store.movie_rows[movie]) > MOST_FRAMES:
            break
        chosen.append(movie)
        frames += len(store.movie_rows[movie])
    return sorted(chosen)

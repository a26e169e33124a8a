"""Which epoch's weights a training keeps: those that best foretell movies that it has not seen.

The volumes and the subspace that a training starts from are of all movies. So what an epoch is worth is
counted from that start, and where none is better the start is kept.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.frames import foretell_coefficients, foretell_frames
from temporem.fitting.held_out.score import HeldOutScore, over_movies
from temporem.model.batches import MovieBatch
from temporem.model.encoders import TemporalEncoder
from temporem.model.methods import DynamicalModel

__all__ = ["Unseen", "set_aside"]

FEWEST_MOVIES, ONE_IN = 20, 20
"""Movies below which none are kept from a training; and one in how many is, of twice as many and more."""
FEWEST_KEPT, MOST_FRAMES = 2, 400
"""Movies kept from it, for an uncertainty; and frames of those that there are more of."""
_SEED = 0
"""Of the coefficients that each frame is inferred from, the same ones for every epoch."""


@dataclass(frozen=True, eq=False)
class Unseen:
    """Movies that a training does not see, and the volume that their score is counted from."""

    store: FrameStore
    still: Float[Tensor, "n n n"]

    def nats(self, model: DynamicalModel) -> Float[Tensor, " frames"]:
        """Of each frame, movie by movie: foretold from the other frames, or in part from its other part
        where the encoder knows no time."""
        batch = self._batch()
        training = model.training
        model.eval()
        if isinstance(model.encoder, TemporalEncoder):
            nats = foretell_frames(model, self.store, batch, self.still)
        else:
            generator = torch.Generator().manual_seed(_SEED)
            nats = foretell_coefficients(model, self.store, batch, self.still, generator)
        model.train(training)
        return nats.cpu()

    def score(self, nats: Float[Tensor, " frames"]) -> HeldOutScore:
        """Their mean."""
        return over_movies(nats, self._batch().mask.nonzero()[:, 0])

    def _batch(self) -> MovieBatch:
        return self.store.movies(torch.arange(len(self.store.movie_rows)))


def set_aside(store: FrameStore, still: Float[Tensor, "n n n"]) -> tuple[FrameStore, Unseen | None]:
    """The movies to train on, and every twentieth, two at least, to choose the epoch by; None of too few."""
    count = len(store.movie_rows)
    if count < FEWEST_MOVIES:
        return store, None
    aside, frames = list[int](), 0
    step = min(ONE_IN, count // FEWEST_KEPT)
    for movie in range(step // 2, count, step):
        if len(aside) >= FEWEST_KEPT and frames + len(store.movie_rows[movie]) > MOST_FRAMES:
            break
        aside.append(movie)
        frames += len(store.movie_rows[movie])
    seen = store.only([movie for movie in range(count) if movie not in set(aside)])
    return seen, Unseen(store.only(aside), still)

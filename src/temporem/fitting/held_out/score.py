"""A held-out score and its uncertainty, movies being independent and the frames of one movie not."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["HeldOutScore", "over_movies"]


@dataclass(frozen=True)
class HeldOutScore:
    """A mean over frames."""

    nats_per_frame: float
    """Log likelihood above that of what it is compared with; positive is better."""
    standard_error: float
    """Over movies; infinite for fewer than two."""
    frames: int
    movies: int

    @property
    def is_positive(self) -> bool:
        """Whether it is above zero by more than twice its standard error."""
        return self.nats_per_frame > 2 * self.standard_error

    def __str__(self) -> str:
        return f"{self.nats_per_frame:.3g} ± {self.standard_error:.2g} nats a frame"


def over_movies(nats: Float[Tensor, " frames"], movie: Int[Tensor, " frames"]) -> HeldOutScore:
    """Mean of the frames, and its standard error as that of a ratio of sums over movies."""
    nats = nats.detach().cpu().double()
    _, index = torch.unique(movie.cpu(), return_inverse=True)
    movies = int(index.max()) + 1
    mean = nats.mean()
    deviation = torch.zeros(movies, dtype=torch.float64).index_add(0, index, nats - mean)
    error = math.inf
    if movies > 1:
        error = float((deviation.square().sum() * movies / (movies - 1)).sqrt()) / len(nats)
    return HeldOutScore(float(mean), error, len(nats), movies)

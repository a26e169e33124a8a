"""Whether one moving density foretells movies better than averages along the states do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.deformation_states import misfits
from temporem.fitting.frames import FrameStore
from temporem.model.generators import Generator

__all__ = ["Choice", "better_by", "choose", "left_out", "misfit_of_movies", "rows_of"]

FEWEST_MOVIES = 20
"""Fewer are all needed."""
ONE_IN = 10
"""Movies left out of both fits."""
DOUBT = 2.0
"""Standard errors by which the first of two generators must win. A tie goes to the second, the less noisy
where the likelihood hardly looks: a density that every frame has a part in, or one of fewer points."""


@dataclass(frozen=True)
class Choice:
    """What movies left out of the fits of two generators say; their states were seen, and their poses where
    those were found or refined."""

    gain: float
    """Log likelihood under the second of two generators (the moving density) above that under the first
    (averages), in nats a frame."""
    standard_error: float
    """Over movies."""

    @property
    def taken(self) -> bool:
        """Whether the second is: unless the first is better beyond doubt."""
        return self.gain > -DOUBT * self.standard_error

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"gain_over_averages": self.gain, "standard_error": self.standard_error}

    def in_words(self) -> str:
        """For people."""
        better = "better" if self.gain > 0 else "worse"
        stays = "" if self.taken else ": the linear method's answer stays"
        return (
            f"Movies left out are foretold {better} by one moving density than by averages, by"
            f" {abs(self.gain):.3g} ± {self.standard_error:.2g} nats a frame{stays}."
        )


def left_out(movies: int) -> list[int]:
    """Movies that both generators are judged by; none where there are few."""
    return list(range(ONE_IN // 2, movies, ONE_IN)) if movies >= FEWEST_MOVIES else []


def rows_of(store: FrameStore, movies: list[int]) -> Int[Tensor, " rows"]:
    """Rows of these movies in the order in which `FrameStore.only` counts them."""
    rows = torch.cat([torch.as_tensor(store.movie_rows[movie]) for movie in movies])
    return rows.long().sort().values


def choose(
    movies: Sequence[int],
    deformable: tuple[FrameStore, Generator, Float[Tensor, "frames latent"]],
    averages: tuple[FrameStore, Generator, Float[Tensor, "frames components"]],
) -> Choice:
    """Compare two generators, each with the frames at its poses and its states of all, on these movies."""
    return better_by(misfit_of_movies(movies, *averages), misfit_of_movies(movies, *deformable))


@torch.no_grad()
def misfit_of_movies(
    movies: Sequence[int], store: FrameStore, generator: Generator, z: Float[Tensor, "frames latent"]
) -> Float[Tensor, " movies"]:
    """Negative log likelihood of each of these movies, in nats a frame, but for a constant."""
    lengths = [len(store.movie_rows[movie]) for movie in movies]
    rows = torch.cat([torch.as_tensor(store.movie_rows[movie]) for movie in movies]).long()
    mine = misfits(generator, store, z, store.processes.share(rows), store.lattice.radius)
    of_frames = store.processes.whole(mine, len(rows)).double()
    return torch.stack([part.mean() / 2 for part in torch.split(of_frames, lengths)])


def better_by(before: Float[Tensor, " movies"], after: Float[Tensor, " movies"]) -> Choice:
    """What the misfits of movies under two generators say for the second."""
    gain = before - after
    error = float(gain.std() / len(gain) ** 0.5) if len(gain) > 1 else 0.0
    return Choice(float(gain.mean()), error)

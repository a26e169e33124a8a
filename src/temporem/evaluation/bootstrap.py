"""Confidence intervals by bootstrap over movies: a movie's frames share a particle and are not independent.

Whole movies are drawn with replacement (the cluster bootstrap; Davison and Hinkley 1997, Sec. 3.8). The same
draws serve every statistic of every method, so that differences between methods are paired.
"""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "MovieBootstrap"]

FloatArray = npt.NDArray[np.floating]

INTERVAL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; the bounds are None where there are fewer than two movies."""

    value: float
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class MovieBootstrap:
    """How often each movie is drawn, and the movie of each frame."""

    movie: npt.NDArray[np.integer]
    """(frames,), 0 … movies − 1."""
    count: FloatArray
    """(draws, movies)."""

    @classmethod
    def of(cls, movie_of_frame: npt.ArrayLike, draws: int, seed: int) -> "MovieBootstrap":
        """Draw as many movies as there are, `draws` times; frames carry any labels of movies."""
        labels, movie = np.unique(np.asarray(movie_of_frame), return_inverse=True)
        even = np.full(len(labels), 1 / len(labels))
        count = np.random.default_rng(seed).multinomial(len(labels), even, size=draws)
        return cls(movie, count.astype(np.float64))

    @property
    def movies(self) -> int:
        """How many there are."""
        return int(self.count.shape[1])

    def means(self, values: FloatArray) -> FloatArray:
        """Mean (draws, …) over the drawn movies' frames of values (frames, …)."""
        sums = np.zeros((self.movies, *values.shape[1:]))
        np.add.at(sums, self.movie, values.astype(np.float64))
        frames = self.count @ np.bincount(self.movie, minlength=self.movies)
        totals = np.tensordot(self.count, sums, axes=1)
        return np.asarray(totals / frames.reshape(-1, *[1] * (values.ndim - 1)))

    def mean(self, values: FloatArray) -> Estimate:
        """Mean over all frames (frames,), with its interval."""
        return self.estimate(float(values.mean()), self.means(values))

    def estimate(self, value: float, drawn: FloatArray) -> Estimate:
        """A statistic of all frames, with the interval from its values (draws,) on the draws."""
        if self.movies < 2:
            return Estimate(value, None, None)
        low, high = np.percentile(drawn, INTERVAL)
        return Estimate(value, float(low), float(high))

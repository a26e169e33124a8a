"""Where each movie's states lie: the density of its frames along the latents' first principal axis."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from temporem.reconstruction.latents_file import latent_columns
from temporem.report.run_facts import evenly_spaced
from temporem.report.style import in_house_style, new_figure

__all__ = ["densities_figure", "movie_densities"]

MOVIES_SHOWN = 60
POINTS = 160


def movie_densities(
    latents: pd.DataFrame,
) -> tuple[list[str], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Movies in order of their mean, points along the axis, and densities (movies, points) of area 1.

    Each frame counts as its posterior: a Gaussian at its mean, as wide as its standard deviation along the
    axis, but no narrower than two points.
    """
    names = latent_columns(latents)
    z = latents[names].to_numpy(np.float64)
    sd = latents[[f"sd{name[1:]}" for name in names]].to_numpy(np.float64)
    axis = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2][0]
    place = (z - z.mean(axis=0)) @ axis
    width = np.sqrt((sd**2) @ (axis**2))
    margin = max(3 * float(width.max()), 0.05 * float(np.ptp(place)), 1e-6)
    points = np.linspace(place.min() - margin, place.max() + margin, POINTS)
    width = np.maximum(width, 2 * (points[1] - points[0]))
    each = np.exp(-0.5 * ((points - place[:, None]) / width[:, None]) ** 2)
    each /= width[:, None] * np.sqrt(2 * np.pi)
    movie = latents["movie"].to_numpy()
    means = latents.assign(place=place).groupby("movie", sort=False)["place"].mean().sort_values()
    return list(means.index), points, np.stack([each[movie == name].mean(axis=0) for name in means.index])


@in_house_style
def densities_figure(latents: pd.DataFrame) -> Figure:
    """A row a movie, in order of their means; of many, some evenly spaced. Above: all movies together."""
    movies, points, density = movie_densities(latents)
    shown = evenly_spaced(len(movies), MOVIES_SHOWN)
    figure = new_figure(6.0, 4.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    weights = latents.groupby("movie").size()[movies].to_numpy()
    above.fill_between(points, weights @ density / weights.sum(), color="#777777", alpha=0.4, linewidth=0)
    above.set(yticks=[], ylim=(0, None))
    below.pcolormesh(
        points, np.arange(len(shown)), density[shown], cmap="cividis", shading="nearest", rasterized=True
    )
    below.set(xlabel="first principal axis of the latents", ylabel="movie", yticks=[])
    return figure

"""The latent manifold beside the truth: its plane by category, its axis by state, its spread by category."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from temporem.report.style import COLOURS, INK, in_house_style, new_figure

__all__ = ["manifold_figure"]

CATEGORIES = "viridis"
"""Ordered along the path, and told apart by colour-blind eyes."""
FEWEST_IN_VIOLIN = 5
MOST_TICKS = 10


@in_house_style
def manifold_figure(manifold: pd.DataFrame, unit: str, shares: list[float]) -> Figure:
    """Three panels, after the paper's Figs. 5, 7 and 10, from the evaluation's `manifold.csv`.

    The latents' principal plane coloured by true category (one latent alone: against the frame); the leading
    axis against the true value, in `unit`; and its distribution in each category. `shares` are the axes' of
    the variance.
    """
    figure = new_figure(11.4, 3.4)
    plane, along, spread = figure.subplots(1, 3)
    category = manifold["category"].to_numpy(np.int64)
    leading = manifold["axis1"].to_numpy(np.float64)
    colours = category_colours(int(category.max()) + 1)
    bounds = BoundaryNorm(np.arange(colours.N + 1) - 0.5, colours.N)
    second = manifold["axis2"] if "axis2" in manifold else manifold["frame"]
    dots: dict[str, Any] = {"s": 7, "linewidths": 0, "alpha": 0.7, "rasterized": True}
    shown = plane.scatter(leading, second, c=category, cmap=colours, norm=bounds, **dots)
    ticks = np.unique(np.linspace(0, colours.N - 1, min(colours.N, MOST_TICKS)).round())
    figure.colorbar(shown, ax=plane, label="true category", ticks=list(ticks))
    first = f"first axis ({shares[0]:.0%} of the variance)"
    plane.set(
        title="latents",
        xlabel=first,
        ylabel=f"second axis ({shares[1]:.0%})" if "axis2" in manifold else "frame",
    )
    along.scatter(manifold["value"], leading, color=COLOURS[0], **dots)
    along.set(title="along the motion", xlabel=f"true value ({unit})", ylabel="first axis")
    distributions(spread, leading, category, colours)
    spread.set(title="by category", xlabel="true category", ylabel="first axis")
    return figure


def category_colours(count: int) -> ListedColormap:
    """As many colours as categories, in order."""
    return ListedColormap(colormaps[CATEGORIES](np.linspace(0, 1, count)))


def distributions(
    axis: Axes, values: npt.NDArray[np.floating], category: npt.NDArray[np.integer], colours: ListedColormap
) -> None:
    """A violin with its median for every category of frames; dots for those of very few."""
    for index in np.unique(category):
        of_category = values[category == index]
        colour = colours(int(index))
        if len(of_category) < FEWEST_IN_VIOLIN or np.ptp(of_category) == 0:
            axis.plot(np.full(len(of_category), index), of_category, "o", color=colour, markersize=3)
            continue
        parts = axis.violinplot(of_category, positions=[index], widths=0.9, showextrema=False)
        bodies: Any = parts["bodies"]
        for body in bodies:
            body.set(facecolor=colour, alpha=0.9, edgecolor="none")
        axis.plot([index - 0.3, index + 0.3], [np.median(of_category)] * 2, color=INK, linewidth=1.0)

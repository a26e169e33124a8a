"""UMAP of the latents, where the package umap-learn is installed (extra "umap").

McInnes et al. 2018, arXiv 1802.03426: neighbours stay together; distances and densities mean nothing.
"""

import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.neighbors import NearestNeighbors

from temporem.reconstruction.latents_file import latent_columns
from temporem.report.style import TIME, in_house_style, new_figure

__all__ = ["has_umap", "umap_figure"]

FEWEST_FRAMES = 50
"""Fewer have no neighbourhoods to speak of."""
NEIGHBOURS = 15
"""UMAP's own default."""
MOST_FRAMES = 20_000
"""Evenly chosen: more would take minutes."""


def has_umap(latents: pd.DataFrame) -> bool:
    """Whether UMAP is installed and has something to show: two latents or more, and frames enough."""
    return (
        len(latent_columns(latents)) > 1 and len(latents) >= FEWEST_FRAMES and find_spec("umap") is not None
    )


@in_house_style
def umap_figure(latents: pd.DataFrame, time_label: str) -> Figure:
    """All frames in the plane that UMAP finds for their latents, coloured by time."""
    kept = np.unique(np.linspace(0, len(latents) - 1, min(len(latents), MOST_FRAMES)).round().astype(int))
    shown = latents.iloc[kept]
    z = shown[latent_columns(latents)].to_numpy(np.float64)
    # UMAP would compile a search of its own first, for longer than all the rest takes.
    distance, neighbour = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(z).kneighbors(z)
    with warnings.catch_warnings():
        # Of one thread, which a fixed seed asks for; of its own dependencies' coming versions; and of
        # TensorFlow, which is not needed.
        warnings.simplefilter("ignore")
        import umap

        found = umap.UMAP(
            NEIGHBOURS, random_state=0, n_jobs=1, precomputed_knn=(neighbour, distance)
        ).fit_transform(z)
    figure = new_figure(5.6, 4.2)
    axis = figure.subplots()
    time = shown["time"].to_numpy(np.float64)
    points = axis.scatter(
        found[:, 0], found[:, 1], c=time, cmap=TIME, s=8, alpha=0.8, linewidths=0, rasterized=True
    )
    axis.set(xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[])
    figure.colorbar(points, label=time_label)
    return figure

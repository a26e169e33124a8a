"""The latent manifold in numbers: its leading axis, how its categories part, how smooth its movies are.

What the paper shows as pictures (Figs. 5, 7, 10). Categories and states are the truth's; no fit saw them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse.csgraph import connected_components
from scipy.stats import spearmanr
from sklearn.manifold import spectral_embedding
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

__all__ = [
    "category_accuracy",
    "latent_manifold",
    "manifold_table",
    "ordering",
    "principal_axes",
    "silhouette",
    "step_ratio",
]

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

NEIGHBOURS = 15
AXES = 3
"""Most principal axes in the table."""
PAIRS = 20_000
"""Random pairs of frames that steps are measured by."""


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Latents turned to their principal axes, the widest first."""

    places: FloatArray
    """(frames, axes)."""
    share: FloatArray
    """(axes,): of the variance."""


def principal_axes(latents: FloatArray) -> PrincipalAxes:
    """PCA of latents (frames, dimensions); an axis points to where its values are most skewed."""
    centred = latents - latents.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    places = centred @ axes.T
    # The sign of a principal axis is arbitrary: any rule will do that gives the same run the same figure.
    places *= np.where((places**3).sum(axis=0) < 0, -1.0, 1.0)
    return PrincipalAxes(places, spread**2 / max(float((spread**2).sum()), np.finfo(float).tiny))


def latent_manifold(latents: FloatArray, states: pd.DataFrame) -> dict[str, Any]:
    """Figures of latents (frames, dimensions) beside the truth's `states`: movie, frame, state, category.

    - `axis_shares`: of the latents' variance, of the axes in `manifold_table`.
    - `leading_axis_spearman`: rank correlation of the first principal axis with the state, without its sign,
      which is arbitrary. A path that bends may have less than it deserves.
    - `ordering_spearman`: the same of the latents' one-dimensional ordering (see `ordering`), which follows a
      bend.
    - `silhouette` (Rousseeuw 1987) of the categories, −1 … 1, 0 where they overlap.
    - `category_accuracy`: how often the 15 nearest frames of other movies vote for the right category;
      `largest_category`, the share of the commonest one, is what a guess would give.
    - `step_ratio`: mean distance between frames that follow each other over that of random pairs, in
      latents; `state_step_ratio`, the same for the true state. 1 without any smoothness.

    None where a figure cannot be asked for: a single category, state or movie, no frames that follow.
    """
    state, category = states["state"].to_numpy(np.float64), states["category"].to_numpy()
    movie, _ = pd.factorize(states["movie"])
    frame = states["frame"].to_numpy(np.int64)
    axes = principal_axes(latents)
    _, counts = np.unique(category, return_counts=True)
    return {
        "axis_shares": axes.share[:AXES].tolist(),
        "leading_axis_spearman": rank_correlation(axes.places[:, 0], state),
        "ordering_spearman": rank_correlation(ordering(latents), state),
        "silhouette": silhouette(latents, category),
        "category_accuracy": category_accuracy(latents, category, movie),
        "largest_category": float(counts.max() / counts.sum()),
        "step_ratio": step_ratio(latents, movie, frame),
        "state_step_ratio": step_ratio(state[:, None], movie, frame),
    }


def rank_correlation(coordinate: FloatArray | None, state: FloatArray) -> float | None:
    """Spearman's, without its sign; None where either is constant."""
    if coordinate is None or np.ptp(coordinate) == 0 or np.ptp(state) == 0:
        return None
    return abs(float(spearmanr(coordinate, state).statistic))


def ordering(latents: FloatArray, neighbours: int = NEIGHBOURS) -> FloatArray | None:
    """Place (frames,) along the latents' longest extent: the slowest mode of their neighbour graph.

    Laplacian eigenmap of one dimension (Belkin and Niyogi 2003): monotone along a path, however it bends.
    None where the graph of the 15 nearest neighbours falls into parts.
    """
    if len(latents) <= neighbours + 1:
        return None
    near = kneighbors_graph(latents, neighbours)
    graph = near.maximum(near.T)
    parts, _ = connected_components(graph, directed=False)
    if parts > 1:
        return None
    return np.asarray(spectral_embedding(graph, n_components=1, random_state=0)[:, 0])


def silhouette(latents: FloatArray, category: IntArray) -> float | None:
    """Mean silhouette of the frames in their categories, Euclidean."""
    count = len(np.unique(category))
    if not 2 <= count < len(category):
        return None
    return float(silhouette_score(latents, category))


def category_accuracy(
    latents: FloatArray, category: IntArray, movie: IntArray, neighbours: int = NEIGHBOURS
) -> float | None:
    """Share of frames whose nearest frames in other movies vote for their category.

    Every frame has left its whole movie out. The commonest category wins; of equals, the one nearest.
    """
    names, code = np.unique(category, return_inverse=True)
    sizes = np.bincount(movie)
    others = len(movie) - int(sizes.max())
    if len(names) < 2 or others == 0:
        return None
    wanted = min(neighbours, others)
    # However many of the nearest are its own movie's, these hold enough of others.
    search = NearestNeighbors(n_neighbors=min(wanted + int(sizes.max()), len(movie))).fit(latents)
    near = search.kneighbors(latents, return_distance=False)
    right = 0
    for row, found in enumerate(near):
        of_others = code[found[movie[found] != movie[row]][:wanted]]
        votes = np.bincount(of_others, minlength=len(names))
        right += of_others[votes[of_others].argmax()] == code[row]
    return float(right / len(near))


def step_ratio(places: FloatArray, movie: IntArray, frame: IntArray, seed: int = 0) -> float | None:
    """Mean |z(t + 1) − z(t)| within movies over mean |z_a − z_b| of random pairs of different frames."""
    order = np.lexsort((frame, movie))
    follows = (np.diff(movie[order]) == 0) & (np.diff(frame[order]) == 1)
    if not follows.any():
        return None
    steps = np.linalg.norm(np.diff(places[order], axis=0)[follows], axis=1).mean()
    random = np.random.default_rng(seed)
    a = random.integers(len(places), size=PAIRS)
    b = (a + random.integers(1, len(places), size=PAIRS)) % len(places)
    apart = np.linalg.norm(places[a] - places[b], axis=1).mean()
    return float(steps / apart) if apart > 0 else None


def manifold_table(latents: FloatArray, states: pd.DataFrame) -> pd.DataFrame:
    """A row per image: what it shows in truth, and its place on the first principal axes of its latents."""
    axes = principal_axes(latents)
    places: Mapping[str, FloatArray] = {
        f"axis{index + 1}": axes.places[:, index] for index in range(min(AXES, axes.places.shape[1]))
    }
    known = states[["image", "movie", "frame", "state", "category", "value"]].reset_index(drop=True)
    return pd.concat((known, pd.DataFrame(places)), axis=1)

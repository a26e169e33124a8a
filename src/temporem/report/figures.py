"""The figures of one run: how the fit went, where the latents lie, what the volumes look like."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from temporem.reconstruction.latents_file import latent_columns
from temporem.report.style import COLOURS, INK, TIME, in_house_style, new_figure

__all__ = ["latent_map_figure", "latents_figure", "losses_figure", "sections_figure", "widest_latents"]


@in_house_style
def losses_figure(metrics: pd.DataFrame, terms: Sequence[str], step: str, stage: str | None) -> Figure:
    """Each term of the objective against the step, one panel a term, one colour a stage of the fit.

    The vertical axis leaves out the first steps' extremes, which would flatten all that follows.
    """
    columns = min(len(terms), 3)
    rows = -(-len(terms) // columns)
    figure = new_figure(3.4 * columns, 2.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    stages = [("", metrics)] if stage is None else list(metrics.groupby(stage, sort=False))
    for axis, term in zip(axes.flat, terms, strict=False):
        for colour, (name, part) in zip(COLOURS * len(stages), stages, strict=False):
            values = part[[step, term]].dropna()
            axis.plot(values[step], values[term], color=colour, linewidth=1.2, label=str(name))
        axis.set(title=term.replace("_", " "), xlabel=step)
        low, high = np.quantile(metrics[term].dropna().to_numpy(np.float64), [0, 0.97])
        margin = 0.08 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)
    for axis in axes.flat[len(terms) :]:
        axis.set_axis_off()
    if stage is not None:
        axes.flat[0].legend(fontsize=8)
    return figure


def widest_latents(latents: pd.DataFrame, most: int) -> list[str]:
    """Names of the latent dimensions that vary most over the frames, in falling order of variance."""
    names = latent_columns(latents)
    return list(latents[names].var().sort_values(ascending=False, kind="stable").index[:most])


@in_house_style
def latents_figure(latents: pd.DataFrame, time_label: str, movies: Sequence[str], most: int = 4) -> Figure:
    """Latents over time: every movie faintly, those named in colour with a band of ± one sd."""
    names = widest_latents(latents, most)
    columns = min(len(names), 2)
    rows = -(-len(names) // columns)
    figure = new_figure(5.0 * columns, 2.6 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    # Beyond some 200 the faint lines only fill the panel.
    faint = latents["movie"].drop_duplicates().iloc[:200]
    drawn = latents[latents["movie"].isin([*faint, *movies])].sort_values("time")
    shown = dict(iter(drawn.groupby("movie", sort=False)))
    for axis, name in zip(axes.flat, names, strict=False):
        # One artist for all: as many of them as movies take seconds to draw.
        lines = [shown[movie][["time", name]].to_numpy(np.float64) for movie in faint]
        axis.add_collection(LineCollection(lines, colors=COLOURS[7], alpha=0.15, linewidths=0.6))
        axis.autoscale_view()
        for colour, movie in zip(COLOURS, movies, strict=False):
            part = shown[movie]
            time, mean, sd = (part[x].to_numpy(np.float64) for x in ("time", name, f"sd{name[1:]}"))
            axis.fill_between(time, mean - sd, mean + sd, color=colour, alpha=0.25, linewidth=0)
            axis.plot(time, mean, color=colour, marker="o", markersize=2.5, linewidth=1.4, label=movie)
        axis.set(title=name, xlabel=time_label)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    handles = axes.flat[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right upper", fontsize=8, title="movie", title_fontsize=8)
    return figure


@in_house_style
def latent_map_figure(latents: pd.DataFrame, time_label: str) -> Figure:
    """All frames on the two principal axes of the latents, coloured by time."""
    names = widest_latents(latents, len(latents.columns))
    z = latents[names].to_numpy(np.float64)
    centred = z - z.mean(axis=0)
    _, spread, axes_of_z = np.linalg.svd(centred, full_matrices=False)
    share = spread**2 / max(float((spread**2).sum()), 1e-300)
    places = centred @ axes_of_z[:2].T
    if places.shape[1] == 1:
        places, share = np.column_stack((places, latents["time"])), np.append(share, 0.0)
    figure = new_figure(5.6, 4.2)
    axis = figure.subplots()
    time = latents["time"].to_numpy(np.float64)
    points = axis.scatter(
        places[:, 0], places[:, 1], c=time, cmap=TIME, s=8, alpha=0.8, linewidths=0, rasterized=True
    )
    second = f"second axis ({share[1]:.0%} of the variance)" if len(names) > 1 else time_label
    axis.set(xlabel=f"first principal axis ({share[0]:.0%} of the variance)", ylabel=second)
    figure.colorbar(points, label=time_label)
    return figure


@in_house_style
def sections_figure(volumes: Mapping[str, npt.NDArray[np.float32]], pixel_size_in_angstroms: float) -> Figure:
    """Central sections of volumes [z, y, x]: a column a volume, a row each of the planes xy, xz and yz.

    One gray scale for all, so that what differs is the molecule. `volumes` are by their titles.
    """
    stack = np.stack(list(volumes.values()))
    low, high = np.quantile(stack, [0.005, 0.9995])
    figure = new_figure(1.35 * len(volumes) + 0.4, 4.4)
    axes = figure.subplots(3, len(volumes), squeeze=False)
    centre = stack.shape[1] // 2
    edge = stack.shape[1] * pixel_size_in_angstroms
    for column, (title, volume) in enumerate(volumes.items()):
        sections = (volume[centre], volume[:, centre], volume[:, :, centre])
        for axis, section in zip(axes[:, column], sections, strict=True):
            axis.imshow(section, cmap="gray", vmin=low, vmax=high, origin="lower", extent=(0, edge, 0, edge))
            axis.set(xticks=[], yticks=[])
        axes[0, column].set_title(title, fontsize=8)
    for axis, plane in zip(axes[:, 0], ("xy", "xz", "yz"), strict=True):
        axis.set_ylabel(plane)
    scale = 10 ** np.floor(np.log10(edge / 2))
    axes[2, 0].plot([0.06 * edge, 0.06 * edge + scale], [0.06 * edge] * 2, color="white", linewidth=2)
    axes[2, 0].text(0.06 * edge, 0.1 * edge, f"{scale:g} Å", color="white", fontsize=7)
    for axis in axes.flat:
        axis.spines[:].set_visible(False)
        axis.tick_params(color=INK)
    return figure

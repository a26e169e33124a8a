"""The figures of a comparison with the truth, drawn from the tables that the evaluation wrote."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from temporem.evaluation.evaluation_folder import OVER_TIME, RUN
from temporem.report.manifold_figures import manifold_figure
from temporem.report.over_time_figure import over_time_figure
from temporem.report.style import COLOURS, in_house_style, new_figure, write_figure

__all__ = [
    "fsc_figure",
    "latent_and_state_figure",
    "manifold_of",
    "resolution_figure",
    "show_resolution",
    "write_evaluation_figures",
]


def write_evaluation_figures(folder: Path) -> None:
    """Draw the tables of an evaluation folder into PNG and SVG files beside them."""
    figures = {
        "fsc": fsc_figure(pd.read_csv(folder / "fsc.csv")),
        "resolution": resolution_figure(pd.read_csv(folder / "frames.csv")),
    }
    if (folder / OVER_TIME).exists():
        figures["fsc_over_time"] = over_time_figure(
            pd.read_csv(folder / OVER_TIME), "mean FSC with the truth"
        )
    # Another program's scores may come without latents.
    if (folder / "manifold.csv").exists():
        figures["manifold"] = manifold_of(folder)
    for name, figure in figures.items():
        for suffix in ("png", "svg"):
            write_figure(figure, folder / f"{name}.{suffix}")


@in_house_style
def fsc_figure(fsc: pd.DataFrame) -> Figure:
    """Mean FSC with the truth, one panel a mask, one line a method; the band: 80 % of the run's frames."""
    masks = list(dict.fromkeys(fsc["mask"]))
    methods = list(dict.fromkeys(fsc["method"]))
    figure = new_figure(3.5 * len(masks), 3.1)
    axes = figure.subplots(1, len(masks), sharey=True, squeeze=False)[0]
    for axis, mask in zip(axes, masks, strict=True):
        for colour, method in zip(COLOURS * len(methods), methods, strict=False):
            part = fsc[(fsc["mask"] == mask) & (fsc["method"] == method)]
            frequency = 1 / part["resolution_in_angstroms"]
            if method == RUN:
                low, high = part["fsc_10th_percentile"], part["fsc_90th_percentile"]
                axis.fill_between(frequency, low, high, color=colour, alpha=0.2, linewidth=0)
            width, style = (2.0, "-") if method == RUN else (1.2, "--")
            axis.plot(frequency, part["fsc"], color=colour, linewidth=width, linestyle=style, label=method)
        axis.axhline(0.5, color=COLOURS[7], linewidth=0.8, linestyle=":")
        axis.set(title=mask, xlim=(0, None), ylim=(-0.15, 1.02))
        show_resolution(axis)
    axes[0].set_ylabel("FSC with the truth")
    axes[-1].legend(fontsize=8)
    return figure


def manifold_of(folder: Path) -> Figure:
    """Figure of an evaluation folder's latents."""
    summary = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    shares = summary["latent_manifold"]["axis_shares"]
    return manifold_figure(pd.read_csv(folder / "manifold.csv"), summary["value_unit"], shares)


def show_resolution(axis: Axes) -> None:
    """Label an axis of spatial frequency (1/Å) with what it resolves, in Å."""
    axis.set_xlabel("resolution (Å)")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{1 / k:.1f}" if k > 0 else "∞"))


@in_house_style
def resolution_figure(frames: pd.DataFrame) -> Figure:
    """Each frame's resolution at FSC 0.5 against the true state, one panel a mask."""
    suffix = "_resolution_in_angstroms"
    masks = [x.removesuffix(suffix) for x in frames.columns if x.endswith(suffix)]
    methods = list(dict.fromkeys(frames["method"]))
    figure = new_figure(3.5 * len(masks), 3.1)
    axes = figure.subplots(1, len(masks), sharey=True, squeeze=False)[0]
    for axis, mask in zip(axes, masks, strict=True):
        for colour, method in zip(COLOURS * len(methods), methods, strict=False):
            part = frames[frames["method"] == method]
            size = 6 if method == RUN else 3
            axis.scatter(
                part["state"],
                part[mask + suffix],
                color=colour,
                s=size,
                linewidths=0,
                alpha=0.6,
                label=method,
            )
        axis.set(title=mask, xlabel="true state")
    axes[0].invert_yaxis()
    axes[0].set_ylabel("resolution at FSC 0.5 (Å)")
    axes[-1].legend(fontsize=8, markerscale=2)
    return figure


@in_house_style
def latent_and_state_figure(latents: pd.DataFrame, states: pd.DataFrame) -> Figure:
    """The linear combination of latents that fits the true state best, against it; rows are images."""
    z = latents.filter(regex=r"^z\d+$").to_numpy(np.float64)
    state = states["state"].to_numpy(np.float64)
    centred = z - z.mean(axis=0)
    weights, *_ = np.linalg.lstsq(centred, state - state.mean(), rcond=None)
    along = centred @ weights + state.mean()
    figure = new_figure(4.2, 3.4)
    axis = figure.subplots()
    axis.plot(
        [state.min(), state.max()], [state.min(), state.max()], color=COLOURS[7], linewidth=0.8, linestyle=":"
    )
    axis.scatter(state, along, s=6, color=COLOURS[0], alpha=0.5, linewidths=0)
    axis.set(xlabel="true state", ylabel="linear fit of the latents")
    return figure

"""The figures of runs compared: mean FSC curves, every frame's resolution, histograms of the improvement."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from temporem.report.evaluation_figures import show_resolution
from temporem.report.style import COLOURS, INK, in_house_style, new_figure, write_figure

__all__ = ["comparison_figures", "write_comparison_figures"]

RESOLUTION, IMPROVEMENT = "_resolution_in_angstroms", "_improvement_in_percent"
BINS = 30
MOST_PANELS_HIGH = 6
NAME_HIGH, NAME_WIDE = 26, 42
"""Letters of a name that fit along a panel; longer ones are broken."""


def comparison_figures(frames: pd.DataFrame, fsc: pd.DataFrame, against: str) -> dict[str, Figure]:
    """All figures by name, from a comparison's two tables and the name of the run compared with."""
    return {
        "fsc": curves_figure(fsc),
        "resolution": frames_figure(frames),
        "improvement": improvement_figure(frames, against),
    }


def write_comparison_figures(figures: dict[str, Figure], folder: Path) -> None:
    """Write each as PNG and SVG."""
    for name, figure in figures.items():
        for suffix in ("png", "svg"):
            write_figure(figure, folder / f"{name}.{suffix}")


def colour_of(runs: Sequence[str]) -> dict[str, str]:
    """One colour a run, the same in all figures."""
    return dict(zip(runs, COLOURS * len(runs), strict=False))


@in_house_style
def curves_figure(fsc: pd.DataFrame) -> Figure:
    """Mean FSC with the truth, one panel a mask, one line a run; the bands hold 80 % of the frames."""
    masks, runs = list(dict.fromkeys(fsc["mask"])), list(dict.fromkeys(fsc["run"]))
    figure = new_figure(3.5 * len(masks), 3.2)
    axes = figure.subplots(1, len(masks), sharey=True, squeeze=False)[0]
    for axis, mask in zip(axes, masks, strict=True):
        for order, (run, colour) in enumerate(colour_of(runs).items()):
            part = fsc[(fsc["mask"] == mask) & (fsc["run"] == run)]
            frequency = 1 / part["resolution_in_angstroms"]
            low, high = part["fsc_10th_percentile"], part["fsc_90th_percentile"]
            axis.fill_between(frequency, low, high, color=colour, alpha=0.15, linewidth=0)
            # Dashes let a curve be seen that lies under another.
            style = "--" if order % 2 else "-"
            axis.plot(frequency, part["fsc"], color=colour, linewidth=1.8, linestyle=style, label=run)
        axis.axhline(0.5, color=COLOURS[7], linewidth=0.8, linestyle=":")
        axis.set(title=mask, xlim=(0, None), ylim=(-0.15, 1.02))
        show_resolution(axis)
    axes[0].set_ylabel("FSC with the truth")
    axes[0].legend(fontsize=8, loc="lower left")
    return figure


@in_house_style
def frames_figure(frames: pd.DataFrame) -> Figure:
    """Each frame's resolution at FSC 0.5 against the true state, one panel a mask."""
    masks, runs = masks_of(frames), list(dict.fromkeys(frames["run"]))
    figure = new_figure(3.5 * len(masks), 3.2)
    axes = figure.subplots(1, len(masks), squeeze=False)[0]
    for axis, mask in zip(axes, masks, strict=True):
        for run, colour in colour_of(runs).items():
            part = frames[frames["run"] == run]
            axis.scatter(
                part["state"], part[mask + RESOLUTION], color=colour, s=8, linewidths=0, alpha=0.6, label=run
            )
        axis.set(title=mask, xlabel="true state")
        axis.invert_yaxis()
    axes[0].set_ylabel("resolution at FSC 0.5 (Å)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8, markerscale=2)
    return figure


@in_house_style
def improvement_figure(frames: pd.DataFrame, against: str) -> Figure:
    """Histogram of the improvement factor (Eq. 16) over frames: a row a run, a column a mask.

    Every panel has its own range, as wide as its frames need.
    """
    masks = masks_of(frames)
    runs = [x for x in dict.fromkeys(frames["run"]) if x != against][:MOST_PANELS_HIGH]
    figure = new_figure(3.5 * len(masks), 2.5 * len(runs) + 0.3)
    axes = figure.subplots(len(runs), len(masks), squeeze=False)
    for row, run in zip(axes, runs, strict=True):
        for axis, mask in zip(row, masks, strict=True):
            values = frames.loc[frames["run"] == run, mask + IMPROVEMENT].to_numpy(np.float64)
            reach = max(float(np.abs(values).max()), 0.1)
            # Zero is an edge, so that no bar holds frames of both kinds.
            edges = np.linspace(-reach, reach, BINS + 1)
            axis.hist(values[values > 0], edges, color=COLOURS[0])
            axis.hist(values[values < 0], edges, color=COLOURS[1])
            axis.axvline(0, color=INK, linewidth=0.8)
            axis.axvline(values.mean(), color=INK, linewidth=1.2, linestyle="--")
            parts = ((values > 0).mean(), (values == 0).mean(), (values < 0).mean())
            told = "{:.0%} better\n{:.0%} equal\n{:.0%} worse".format(*parts)
            # On the side with fewer bars.
            place, side = (0.02, "left") if values.mean() >= 0 else (0.98, "right")
            axis.text(place, 0.97, told, transform=axis.transAxes, va="top", ha=side, fontsize=8)
            axis.set_title(f"{mask}: mean {values.mean():+.2f} %")
        row[0].set_ylabel(f"frames of\n{fill(run, NAME_HIGH)}")
    for axis in axes[-1]:
        axis.set_xlabel(fill(f"improvement over {against} (%)", NAME_WIDE))
    return figure


def masks_of(frames: pd.DataFrame) -> list[str]:
    """Names of the masks in a comparison's table of frames."""
    return [x.removesuffix(RESOLUTION) for x in frames.columns if x.endswith(RESOLUTION)]

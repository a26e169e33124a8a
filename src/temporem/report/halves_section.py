"""How far two halves of the movies agree: the curves, and where they stand in the report."""

import json
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from temporem.errors import UserError
from temporem.evaluation.halves import halves_sentence
from temporem.reconstruction.uncertainty import SUMMARY
from temporem.report.evaluation_figures import show_resolution
from temporem.report.over_time_figure import over_time_figure
from temporem.report.page import section
from temporem.report.style import COLOURS, in_house_style, inline_svg, new_figure, write_figure

__all__ = ["halves_section", "halves_told", "write_halves_figures"]

SHOWN = {
    "corrected": ("volumes, less the floor", COLOURS[0], "-"),
    "masked": ("volumes", COLOURS[4], "--"),
    "motion": ("their differences from the mean", COLOURS[5], "-"),
    "floor": ("floor of random phases", COLOURS[7], ":"),
}


def halves_told(folder: Path) -> str:
    """One sentence; empty where the halves were not compared."""
    return halves_sentence(_summary(folder)) if (folder / SUMMARY).exists() else ""


def halves_section(folder: Path) -> str:
    """What `temporem halves` found; empty where it was not run."""
    if not (folder / SUMMARY).exists():
        return ""
    summary = _summary(folder)
    r_squared = " and ".join(f"{x:.2f}" for x in summary["states_told_r_squared"])
    return section(
        "Halves of the movies",
        f"<p>{escape(halves_sentence(summary))}</p>",
        inline_svg(halves_figure(pd.read_csv(folder / "fsc.csv")), "FSC between halves of the movies"),
        '<p class="soft">FSC between volumes of two halves of the movies, fitted apart, at the same states'
        " and inside the run's mask; bands hold 80 % of the frames. Dotted: 0.143 and 0.5. Errors that both"
        " halves share do not show: of the poses, of the state assigned to a frame, of too stiff a motion."
        f" The run's states tell those of the halves with R² {r_squared} in movies left out.</p>",
        inline_svg(
            over_time_figure(pd.read_csv(folder / "fsc_over_time.csv"), "FSC between halves"),
            "FSC between halves over time",
        ),
        '<p class="soft">The same by frame index: where movies are worse known, the colour ends sooner.</p>',
    )


def write_halves_figures(folder: Path) -> None:
    """Draw the tables of `temporem halves` into PNG and SVG files beside them."""
    figures = {
        "fsc": halves_figure(pd.read_csv(folder / "fsc.csv")),
        "fsc_over_time": over_time_figure(pd.read_csv(folder / "fsc_over_time.csv"), "FSC between halves"),
    }
    for name, figure in figures.items():
        for suffix in ("png", "svg"):
            write_figure(figure, folder / f"{name}.{suffix}")


@in_house_style
def halves_figure(fsc: pd.DataFrame) -> Figure:
    """Mean curves with the spread over frames."""
    figure = new_figure(6.4, 3.6)
    axis = figure.subplots()
    for name, (label, colour, style) in SHOWN.items():
        part = fsc[fsc["curve"] == name]
        frequency = 1 / part["resolution_in_angstroms"]
        axis.plot(frequency, part["fsc"], color=colour, linestyle=style, linewidth=1.6, label=label)
        if name in ("corrected", "motion"):
            low, high = part["fsc_10th_percentile"], part["fsc_90th_percentile"]
            axis.fill_between(frequency, low, high, color=colour, alpha=0.2, linewidth=0)
    for threshold in (0.143, 0.5):
        axis.axhline(threshold, color=COLOURS[7], linewidth=0.8, linestyle=":")
    axis.set(xlim=(0, None), ylim=(-0.15, 1.02), ylabel="FSC between halves")
    show_resolution(axis)
    axis.legend(fontsize=8)
    return figure


def _summary(folder: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        halves_sentence(summary)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / SUMMARY} cannot be read ({error}): run temporem halves again.") from None
    return summary

"""The figures of a run's kinetics, drawn from the tables that the analysis wrote."""

import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from temporem.errors import UserError
from temporem.evaluation.kinetics.number_of_states import CERTAIN, SHORTEST_STAY
from temporem.report.page import section, table
from temporem.report.style import COLOURS, in_house_style, inline_svg, new_figure, write_figure

__all__ = ["kinetics_section", "write_kinetics_figures"]

MOVIES_SHOWN = 30
FEWEST_SHOWN = 0.5
"""Transitions expected in all movies, below which a rate is not listed."""


def write_kinetics_figures(folder: Path) -> None:
    """Draw the tables of a kinetics folder into PNG and SVG files beside them."""
    for name, figure in _figures(folder).items():
        for suffix in ("png", "svg"):
            write_figure(figure, folder / f"{name}.{suffix}")


def kinetics_section(folder: Path) -> str:
    """Rates, dwell times and what speaks against them, for the report."""
    try:
        summary: dict[str, Any] = json.loads((folder / "kinetics.json").read_text(encoding="utf-8"))
        rates = _read(folder / "rates.csv")
        figures = _figures(folder)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"the kinetics in {folder} cannot be read ({error}); run temporem kinetics again."
        ) from None
    unit = summary["time_unit"]
    states = [
        [
            str(dwell["state"]),
            f"{share['share']:.2f} ({_span(share['interval'])})",
            f"{_time(dwell['mean'])} ({_span(dwell['interval'])})",
            f"{dwell['ends_seen']} of {dwell['stays']}",
        ]
        for dwell, share in zip(summary["mean_dwell_time"], summary["occupancy"], strict=True)
    ]
    moves = [
        [
            f"{int(row['from'])} → {int(row['to'])}",
            f"{row['rate']:.3g} ({row['low']:.3g} to {row['high']:.3g})",
            f"{row['transitions_expected']:.0f}",
        ]
        for _, row in rates.iterrows()
        if row["transitions_expected"] >= FEWEST_SHOWN
    ]
    unseen = len(rates) - len(moves)
    believed = "".join(f"<p><b>{escape(text)}</b></p>" for text in summary["doubts"])
    slowest = (
        f"Slowest relaxation time of the states: {_time(summary['relaxation_time'])} {unit} "
        f"({_span(summary['relaxation_time_interval'])})."
    )
    if summary["prior_relaxation_times"]:
        times = ", ".join(f"{x:.3g}" for x in sorted(summary["prior_relaxation_times"], reverse=True))
        slowest += f" The Ornstein–Uhlenbeck prior of the fit learned {times} {unit}, one per latent."
    if unseen:
        slowest += f" The other {unseen} kinds of transition are not seen."
    several = summary["states"] > 1
    return section(
        "Kinetics",
        believed,
        table(["state", "share of time", f"mean stay ({unit})", "ends seen"], states),
        table(["transition", f"rate per {unit.removesuffix('s')}", "expected number"], moves)
        if several
        else "",
        f"<p>{escape(slowest)}</p>" if several else "",
        '<p class="soft">In brackets 95 % intervals: of rates and shares by drawing movies with repetition, '
        "of stays from the number of ends seen. Stays that a movie's end cuts short count as censored.</p>",
        *(inline_svg(figure, name.replace("_", " ")) for name, figure in figures.items()),
    )


def _figures(folder: Path) -> dict[str, Figure]:
    summary = json.loads((folder / "kinetics.json").read_text(encoding="utf-8"))
    unit = summary["time_unit"]
    figures = {"state_paths": paths_figure(_read(folder / "states.csv"), unit)}
    survival = _read(folder / "survival.csv")
    if summary["states"] > 1 and len(survival):
        means = {x["state"]: x["mean"] for x in summary["mean_dwell_time"]}
        figures["dwell_times"] = dwell_figure(survival, means, unit)
    scales = _read(folder / "implied_timescales.csv")
    if len(scales):
        figures["implied_time_scales"] = lag_figure(scales, unit, summary["median_movie_time"])
    if (folder / "number_of_states.csv").exists():
        figures["number_of_states"] = count_figure(_read(folder / "number_of_states.csv"), summary["states"])
    return figures


@in_house_style
def paths_figure(states: pd.DataFrame, unit: str) -> Figure:
    """Each movie a row of frames in the colours of their states; of many movies, some evenly spaced."""
    movies = list(dict.fromkeys(states["movie"]))
    chosen = [movies[i] for i in np.unique(np.linspace(0, len(movies) - 1, MOVIES_SHOWN).round().astype(int))]
    figure = new_figure(6.4, 0.9 + 0.11 * len(chosen))
    axis = figure.subplots()
    for row, movie in enumerate(chosen):
        part = states[states["movie"] == movie]
        colours = [COLOURS[(x - 1) % len(COLOURS)] for x in part["state"]]
        axis.scatter(
            part["time_from_first_frame"], np.full(len(part), row), c=colours, marker="s", s=9, linewidths=0
        )
    for state in sorted(states["state"].unique()):
        axis.scatter(
            [], [], color=COLOURS[(state - 1) % len(COLOURS)], marker="s", s=20, label=f"state {state}"
        )
    axis.set(xlabel=f"time from the first frame ({unit})", ylabel="movie", yticks=[])
    axis.invert_yaxis()
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@in_house_style
def dwell_figure(survival: pd.DataFrame, means: dict[int, float | None], unit: str) -> Figure:
    """Share of stays that last longer, by Kaplan and Meier with ± 2 standard errors; dotted: exponential."""
    figure = new_figure(5.2, 3.2)
    axis = figure.subplots()
    for state in sorted(set(survival["state"].tolist())):
        part = survival[survival["state"] == state]
        colour = COLOURS[(state - 1) % len(COLOURS)]
        time, share, error = (part[x].to_numpy() for x in ("time", "survival", "standard_error"))
        axis.fill_between(
            time,
            (share - 2 * error).clip(0),
            (share + 2 * error).clip(max=1),
            step="post",
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
        axis.step(time, share, where="post", color=colour, linewidth=1.6, label=f"state {state}")
        mean = means[state]
        if mean is not None:
            fine = np.linspace(0, time.max(), 100)
            axis.plot(fine, np.exp(-fine / mean), color=colour, linestyle=":", linewidth=1.2)
    axis.set(xlabel=f"stay ({unit})", ylabel="share that lasts longer", ylim=(0, 1.02), xlim=(0, None))
    axis.legend(fontsize=8)
    return figure


@in_house_style
def lag_figure(scales: pd.DataFrame, unit: str, movie_time: float) -> Figure:
    """Slowest implied time scale against the lag; below the gray line lag exceeds time scale."""
    figure = new_figure(5.2, 3.2)
    axis = figure.subplots()
    axis.fill_between(scales["lag"], scales["low"], scales["high"], color=COLOURS[0], alpha=0.2, linewidth=0)
    axis.plot(
        scales["lag"], scales["time_scale"], color=COLOURS[0], marker="o", markersize=4, label="slowest"
    )
    axis.plot(scales["lag"], scales["lag"], color=COLOURS[7], linewidth=0.8, label="time scale = lag")
    axis.axhline(movie_time, color=COLOURS[5], linewidth=0.8, linestyle="--", label="median movie")
    axis.set(xlabel=f"lag ({unit})", ylabel=f"implied time scale ({unit})", yscale="log")
    axis.legend(fontsize=8)
    return figure


@in_house_style
def count_figure(told: pd.DataFrame, chosen: int) -> Figure:
    """Held-out log-likelihood per frame, less the best, against the number of states.

    Hollow where one of the states does not last or is not told from the others: such a number is not chosen.
    """
    figure = new_figure(4.2, 3.0)
    axis = figure.subplots()
    held_out = told["held_out_log_likelihood_per_frame"] - told["held_out_log_likelihood_per_frame"].max()
    axis.plot(told["states"], held_out, color=COLOURS[0], marker="o", label="held-out movies")
    refused = (told["shortest_stay_in_frames"] < SHORTEST_STAY) | (told["least_certainty"] < CERTAIN)
    if refused.any():
        axis.plot(
            told["states"][refused],
            held_out[refused],
            color=COLOURS[0],
            marker="o",
            markerfacecolor="white",
            linestyle="",
            label="a state that does not last, or is not told apart",
        )
    axis.axvline(chosen, color=COLOURS[7], linewidth=0.8, linestyle=":", label="chosen")
    axis.set(xlabel="number of states", ylabel="log-likelihood per frame", xticks=told["states"])
    axis.legend(fontsize=8)
    return figure


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"movie": str})
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def _time(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def _span(interval: list[float | None]) -> str:
    return " to ".join(_time(x) for x in interval)

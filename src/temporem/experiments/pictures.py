"""The pictures of a figure, panel by panel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Drawing

from temporem.evaluation.comparison import Comparison
from temporem.evaluation.evaluation_folder import Evaluation
from temporem.experiments.alignment import alignment_of
from temporem.experiments.declared import Figure, Panel
from temporem.experiments.volume_rows import volumes_figure
from temporem.reconstruction.run import Run
from temporem.report.comparison_figures import comparison_figures
from temporem.report.evaluation_figures import manifold_of
from temporem.report.style import COLOURS, in_house_style, new_figure, write_figure
from temporem.simulation.truth import Truth

__all__ = ["Drawn", "draw_comparison", "draw_trend"]

DASHES = ("-", "--", ":", "-.")
"""Of the groups of a trend."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the pictures of one comparison are drawn from."""

    comparison: Comparison
    evaluations: Mapping[str, Evaluation]
    runs: Mapping[str, Run]
    """Of the arms that are ours."""
    truth: Path


def draw_comparison(panel: Panel, drawn: Drawn, title: str, output: Path, slug: str) -> list[dict[str, str]]:
    """Draw one panel; returns each picture's file and what it shows."""
    if panel == "trend":
        return []
    if panel == "volumes":
        alignments = {arm: alignment_of(drawn.evaluations[arm]) for arm in drawn.runs}
        figures = {"volumes": volumes_figure(drawn.runs, Truth.load(drawn.truth), alignments)}
    elif panel == "latents":
        figures = _latents(drawn)
    else:
        every = comparison_figures(
            drawn.comparison.frames, drawn.comparison.fsc, drawn.comparison.summary["against"]
        )
        figures = {panel: every[panel]}
    pictures = []
    for name, figure in figures.items():
        file = f"{slug}-{name}.png".replace(" ", "-").replace(",", "").replace("'", "")
        write_figure(figure, output / file)
        pictures.append({"file": file, "shows": f"{title}: {name}"})
    return pictures


def _latents(drawn: Drawn) -> dict[str, Drawing]:
    return {
        f"latents of {arm}": manifold_of(evaluation.path)
        for arm, evaluation in drawn.evaluations.items()
        if (evaluation.path / "manifold.csv").exists()
    }


def draw_trend(
    figure: Figure, entries: Sequence[Mapping[str, Any]], masks: Sequence[str], output: Path
) -> list[dict[str, str]]:
    """Resolution against what was changed, arm by arm; nothing where no comparison was made."""
    made = [x for x in entries if "comparison" in x and x["at"] is not None]
    if not made:
        return []
    write_figure(_trend(figure, made, masks), output / "trend.png")
    return [{"file": "trend.png", "shows": f"{figure.title}: resolution at FSC 0.5, 95 % intervals"}]


@in_house_style
def _trend(figure: Figure, entries: Sequence[Mapping[str, Any]], masks: Sequence[str]) -> Drawing:
    drawing = new_figure(3.8 * len(masks), 3.2)
    axes = drawing.subplots(1, len(masks), squeeze=False)[0]
    groups = dict.fromkeys(x["group"] for x in entries)
    for axis, mask in zip(axes, masks, strict=True):
        for place, (line, colour) in enumerate(zip(figure.lines, COLOURS, strict=False)):
            for group, dashes in zip(groups, DASHES, strict=False):
                of_group = [x for x in entries if x["group"] == group]
                for seed in dict.fromkeys(x["seed"] for x in of_group):
                    some = sorted((x for x in of_group if x["seed"] == seed), key=lambda x: float(x["at"]))
                    found = [_resolution(x, x["arms"][place], mask) for x in some]
                    at = [x["at"] for x, y in zip(some, found, strict=True) if y is not None]
                    values = [y for y in found if y is not None]
                    middle = [y["value"] for y in values]
                    reach = [
                        [y["value"] - y["low"] for y in values],
                        [y["high"] - y["value"] for y in values],
                    ]
                    label = ", ".join(filter(None, (line, group))) if seed == of_group[0]["seed"] else None
                    axis.errorbar(
                        at, middle, reach, color=colour, linestyle=dashes, marker="o", capsize=3, label=label
                    )
        axis.set(title=mask, xlabel=figure.axis, xscale="log")
        ticks = sorted({x["at"] for x in entries})
        axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axis.minorticks_off()
        axis.invert_yaxis()
    axes[0].set_ylabel("resolution at FSC 0.5 (Å)")
    axes[0].legend(fontsize=8)
    return drawing


def _resolution(entry: Mapping[str, Any], arm: str, mask: str) -> dict[str, float] | None:
    figures = entry["comparison"]["runs"].get(arm, {}).get(mask)
    if figures is None:
        return None
    value: dict[str, float] = figures["resolution_in_angstroms"]["mean_over_frames"]
    return value

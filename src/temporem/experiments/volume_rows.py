"""One movie's volumes as surfaces: the truth in the first row, each arm below it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from temporem.experiments.alignment import in_frame_of_truth
from temporem.reconstruction.run import Run
from temporem.report.comparison import FOUND, MIXED, TRUE, voxels_of
from temporem.report.run_facts import evenly_spaced
from temporem.report.scene import scene_of
from temporem.report.style import in_house_style, new_figure
from temporem.report.surfaces import level_enclosing
from temporem.simulation.truth import Truth

__all__ = ["volumes_figure"]

COLUMNS = 6
SIZE = 240


@in_house_style
def volumes_figure(
    runs: Mapping[str, Run], truth: Truth, alignments: Mapping[str, Mapping[str, Any] | None]
) -> Figure:
    """Surfaces that enclose the volume of the molecule's atoms, of the movie that sees most of the motion.

    `alignments` by run: what brought the truth to it, for all to be seen from one side.
    """

    def shown_of(arm: str, volume: Tensor) -> Tensor:
        return in_frame_of_truth(volume, alignments[arm], runs[arm].pixel_size_in_angstroms)

    states = truth.states
    movie = states.groupby("movie", sort=False)["state"].agg(np.ptp).idxmax()
    of_movie = states[states["movie"] == movie].sort_values("time", kind="stable")
    chosen = of_movie.iloc[evenly_spaced(len(of_movie), COLUMNS)]
    rows = chosen["image"].to_numpy(np.int64)
    voxels = voxels_of(truth, rows)
    series = {"truth": list(truth.volumes(rows))}
    series |= {arm: [shown_of(arm, volume) for _, volume in run.volumes(rows)] for arm, run in runs.items()}
    first = next(iter(runs))
    series["all as one"] = [shown_of(first, runs[first].consensus())]
    mean = [round(np.mean(voxels))]
    surfaces = {
        name: [
            volume - level_enclosing(volume, count)
            for volume, count in zip(volumes, mean if name == "all as one" else voxels, strict=True)
        ]
        for name, volumes in series.items()
    }
    by_state = np.argsort(chosen["state"].to_numpy(), kind="stable")
    true = series["truth"]
    shown = [x for name, volumes in surfaces.items() for x in volumes if name != "all as one"]
    scene = scene_of(true[by_state[0]], true[by_state[-1]], shown)
    figure = new_figure(1.6 * len(chosen) + 0.5, 1.6 * len(surfaces) + 0.3)
    axes = figure.subplots(len(surfaces), len(chosen), squeeze=False)
    for row, (name, volumes) in zip(axes, surfaces.items(), strict=True):
        colour = TRUE if name == "truth" else MIXED if name == "all as one" else FOUND
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for axis, volume in zip(row, volumes, strict=False):
            axis.imshow(scene.draw(volume, 0.0, colour, SIZE))
        row[0].set_ylabel(name.replace(", ", ",\n"), fontsize=9)
    for axis, frame in zip(axes[0], chosen["frame"], strict=True):
        axis.set_title(f"frame {frame}", loc="center")
    return figure

"""FSC over time: one panel a curve, time along, resolution up."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from temporem.report.style import INK, in_house_style, new_figure

__all__ = ["over_time_figure"]

MAP = "cividis"
"""Even in lightness, and the same to colour-blind eyes."""


@in_house_style
def over_time_figure(table: pd.DataFrame, label: str) -> Figure:
    """Mean FSC by frame index and shell, from `evaluation.over_time`; the line is where it falls to 0.5."""
    names = list(dict.fromkeys(table["curve"]))
    figure = new_figure(3.5 * len(names) + 0.8, 3.0)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        grid = table[table["curve"] == name].pivot(index="shell", columns="frame", values="fsc")
        first, last = int(grid.columns[0]), int(grid.columns[-1])
        # Frames that no movie shows stay empty.
        grid = grid.reindex(columns=range(first, last + 1))
        values = grid.to_numpy(np.float64)
        shells = grid.index.to_numpy(np.float64)
        extent = (first - 0.5, last + 0.5, shells[0] - 0.5, shells[-1] + 0.5)
        shown = axis.imshow(
            values,
            origin="lower",
            aspect="auto",
            extent=extent,
            cmap=MAP,
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        if min(values.shape) > 1 and np.nanmin(values) < 0.5 < np.nanmax(values):
            axis.contour(grid.columns, shells, values, levels=[0.5], colors=["white"], linewidths=1.2)
        axis.set(title=name, xlabel="frame")
        axis.tick_params(color=INK)
    part = table[table["curve"] == names[0]]
    edge = float((part["resolution_in_angstroms"] * part["shell"]).iloc[0])
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{edge / k:.1f}" if k > 0 else "∞"))
    axes[0].set_ylabel("resolution (Å)")
    figure.colorbar(shown, ax=list(axes), label=label)
    return figure

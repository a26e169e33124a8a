"""The directions that all particles were seen from."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from temporem.movies.relion import relion_poses
from temporem.movies.star import read_star
from temporem.reconstruction.run import Run
from temporem.report.page import section
from temporem.report.style import COLOURS, in_house_style, inline_svg, new_figure

__all__ = ["directions_section"]


def directions_section(run: Run) -> str:
    """Directions of view by the run's poses; empty where it has none."""
    if not run.poses_path.exists():
        return ""
    poses = relion_poses(read_star(run.poses_path), run.pixel_size_in_angstroms)
    if poses is None:
        return ""
    return section(
        "Directions of view",
        inline_svg(directions_figure(poses.rotation), "Directions from which the particles were seen"),
        '<p class="soft">Of all images, in the poses of the run, on the sphere, in equal areas: '
        "gaps are views that are missing.</p>",
    )


@in_house_style
def directions_figure(rotation: npt.NDArray[np.floating]) -> Figure:
    """The beam's direction in each particle's own frame, (frames, 3, 3), on a Mollweide map."""
    x, y, z = np.asarray(rotation, np.float64)[:, 2].T
    figure = new_figure(5.6, 3.0)
    axis = figure.add_subplot(projection="mollweide")
    axis.scatter(
        np.arctan2(y, x),
        np.arcsin(z.clip(-1, 1)),
        s=5,
        color=COLOURS[4],
        alpha=0.5,
        linewidths=0,
        rasterized=True,
    )
    axis.grid(color=COLOURS[7], alpha=0.4, linewidth=0.5)
    axis.set(xticklabels=[], yticklabels=[])
    return figure

"""Images that went in beside those that the run predicts for them."""

from html import escape

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from temporem.errors import UserError
from temporem.movies.movie_set import MovieSet
from temporem.physics.ctf import contrast_transfer_function
from temporem.physics.lattice import half_disc
from temporem.physics.projection import central_slices
from temporem.physics.shifts import phase_shift
from temporem.physics.volumes import PADDING, slicing_grid
from temporem.reconstruction.run import Run
from temporem.report.page import section
from temporem.report.shown_movie import ShownMovie
from temporem.report.style import in_house_style, inline_svg, new_figure

__all__ = ["images_section", "predicted_images"]

COLUMNS = 6
LOW_PASS_IN_ANGSTROMS = 20.0


def images_section(run: Run, shown: ShownMovie) -> str:
    """Inputs, inputs low-passed, and predictions of some frames of the movie shown.

    Empty where the input is no longer there or has no poses.
    """
    try:
        movies, _ = run.movies()
    except UserError:
        return ""
    if movies.rotation is None or movies.translation_in_angstroms is None:
        return ""
    some = shown.some(COLUMNS)
    rows = shown.frames["image"].to_numpy(np.int64)[some]
    sign = int(run.config.get("sign", 1))
    given = torch.from_numpy(movies.images.read(rows)) * sign
    volumes = torch.stack([shown.volumes[i] for i in some])
    frames = [int(x) for x in shown.frames["frame"].iloc[some]]
    figure = images_figure(
        given,
        low_passed(given, movies.pixel_size_in_angstroms),
        predicted_images(volumes, movies, rows),
        frames,
    )
    return section(
        "What went in, and what the run says it should have looked like",
        inline_svg(figure, "Images given, the same low-passed, and images predicted"),
        f'<p class="soft">Frames of movie {escape(shown.movie)}: as given, low-passed at '
        f"{LOW_PASS_IN_ANGSTROMS:g} Å, and predicted from the frame's volume, pose and CTF.</p>",
    )


def predicted_images(
    volumes: Float[Tensor, "rows n n n"], movies: MovieSet, rows: npt.NDArray[np.integer]
) -> Float[Tensor, "rows n n"]:
    """Projections of these volumes in the poses of these images, with their CTF and without noise."""
    if movies.rotation is None or movies.translation_in_angstroms is None:
        raise UserError("the movies have no poses: give them.")
    n = volumes.shape[-1]
    disc = half_disc(n)
    pixel_size = movies.pixel_size_in_angstroms * movies.images.box_size / n
    rotation = torch.tensor(movies.rotation[rows], dtype=torch.float32)
    shift = torch.tensor(movies.translation_in_angstroms[rows] / pixel_size, dtype=torch.float32)
    slices = central_slices(slicing_grid(volumes), rotation, disc.frequency, PADDING)
    slices = slices * phase_shift(disc.frequency, shift, n)
    if movies.contrast_transfer is not None:
        of_rows = movies.contrast_transfer[torch.as_tensor(rows)]
        slices = slices * contrast_transfer_function(of_rows, disc.frequency / (n * pixel_size))
    return disc.to_images(slices)


def low_passed(
    images: Float[Tensor, "rows n n"], pixel_size_in_angstroms: float
) -> Float[Tensor, "rows n n"]:
    """Images under a Gaussian low-pass that falls to 1/e at 20 Å."""
    disc = half_disc(images.shape[-1])
    frequency = disc.frequency.norm(dim=-1) / (images.shape[-1] * pixel_size_in_angstroms)
    return disc.to_images(disc.from_images(images) * torch.exp(-((frequency * LOW_PASS_IN_ANGSTROMS) ** 2)))


@in_house_style
def images_figure(
    given: Float[Tensor, "rows n n"],
    smooth: Float[Tensor, "rows n n"],
    predicted: Float[Tensor, "rows m m"],
    frames: list[int],
) -> Figure:
    """A row each of inputs, inputs low-passed and predictions, each in one gray scale."""
    figure = new_figure(1.3 * len(frames) + 0.5, 4.3)
    axes = figure.subplots(3, len(frames), squeeze=False)
    names = ("given", "low-passed", "predicted")
    for name, line, images in zip(names, axes, (given, smooth, predicted), strict=True):
        low, high = np.quantile(images.numpy(), [0.005, 0.995])
        for axis, image in zip(line, images.numpy(), strict=True):
            axis.imshow(image, cmap="gray", vmin=low, vmax=high)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(name)
    for axis, frame in zip(axes[0], frames, strict=True):
        axis.set_title(f"frame {frame}", fontsize=8)
    return figure

"""The truth and the answer side by side, frame by frame: a page to play, and a picture of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from temporem.reconstruction.run import Run
from temporem.report.evaluation_figures import latent_and_state_figure
from temporem.report.page import picture, section, write_page
from temporem.report.report import evaluation_section
from temporem.report.run_facts import evenly_spaced, most_telling_movie
from temporem.report.scene import scene_of
from temporem.report.style import in_house_style, inline_svg, new_figure, write_figure
from temporem.report.surfaces import level_enclosing
from temporem.simulation.truth import Truth

__all__ = ["write_comparison"]

TRUE, FOUND, MIXED = (0.40, 0.68, 0.90), (0.93, 0.62, 0.18), (0.62, 0.64, 0.68)
SIZE = 260
VOLUME_PER_HEAVY_ATOM = 17.0
"""In Å³, hydrogens included: 1.21 Å³ per dalton and 14.1 Da per heavy atom of a protein."""
COLUMNS_IN_PICTURE = 6

PLAYER = """
<script>
const slider = document.getElementById("frame"), play = document.getElementById("play");
const panels = [...document.querySelectorAll("[data-frame]")];
const show = () => {
  for (const panel of panels) panel.hidden = panel.dataset.frame !== slider.value;
};
let timer = 0, step = 1;
const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
const start = () => {
  play.textContent = "Pause";
  timer = setInterval(() => {
    const last = Number(slider.max), next = Number(slider.value) + step;
    if (next < 0 || next > last) step = -step;
    slider.value = Number(slider.value) + step;
    show();
  }, 180);
};
slider.addEventListener("input", () => { stop(); show(); });
play.addEventListener("click", () => timer ? stop() : start());
show();
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) start();
</script>
"""
COLUMNS = """
<style>
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; }
.sides img { width: 100%; max-width: 260px; }
.sides [hidden] { display: none; }
.controls { display: flex; gap: .8rem; align-items: center; margin: .6rem 0; }
.controls input { flex: 1; max-width: 30rem; }
button { font: inherit; padding: .3rem .9rem; min-width: 5.5rem; }
</style>
"""


@dataclass(frozen=True, eq=False)
class Side:
    """One column of the comparison: a title, what it is, and a picture of every frame."""

    title: str
    note: str
    pictures: Sequence[npt.NDArray[np.uint8]]


def write_comparison(run: Run, truth: Truth, evaluation: Path, output: Path) -> Path:
    """Write `index.html` and `demo.png` into `output`: one movie as seen, as it is, and as recovered.

    `evaluation` is the folder of the run's comparison with this truth. Surfaces enclose the volume that
    the atoms' mass takes up in a protein. Returns the page's path.
    """
    movie = most_telling_movie(run.latents())
    sides, frames = _sides(run, truth, movie)
    write_figure(_picture(sides, frames), output / "demo.png")
    latents = run.latents().sort_values("image")
    body = "\n".join(
        (
            COLUMNS,
            "<h1>A molecule's motion, from movies of single particles</h1>",
            f"<p>{escape(_told(truth))}</p>",
            section(f"Movie {movie}, frame by frame", _player(sides, frames)),
            evaluation_section(evaluation),
            section(
                "What the latents know",
                inline_svg(latent_and_state_figure(latents, truth.states), "True state against the latents"),
                '<p class="soft">Every image of every movie. No label was given to the fit.</p>',
            ),
            PLAYER,
        )
    )
    path = output / "index.html"
    write_page(path, "temporem: the truth and the answer", body)
    return path


def voxels_of(truth: Truth, rows: npt.NDArray[np.integer]) -> list[int]:
    """How many voxels the molecule fills in each of these images, by its heavy atoms."""
    voxel = truth.pixel_size_in_angstroms**3
    return [round(truth.heavy_atoms(int(row)) * VOLUME_PER_HEAVY_ATOM / voxel) for row in rows]


def _told(truth: Truth) -> str:
    movies = truth.states["movie"].nunique()
    return (
        f"{movies} simulated movies, {len(truth)} images of {truth.box_size} × {truth.box_size} pixels at "
        f"{truth.pixel_size_in_angstroms:g} Å, signal-to-noise ratio {truth.snr:g}, each image from another "
        "direction. From these images and their poses alone, a volume was recovered for every frame."
    )


def _sides(run: Run, truth: Truth, movie: str) -> tuple[list[Side], list[int]]:
    """What was seen, the truth, the answer, and the one volume that all frames give together."""
    of_movie = truth.states[truth.states["movie"] == movie].sort_values("time", kind="stable")
    rows = of_movie["image"].to_numpy(np.int64)
    true = list(truth.volumes(rows))
    found = [volume for _, volume in run.volumes(rows)]
    by_state = np.argsort(of_movie["state"].to_numpy(), kind="stable")
    voxels = voxels_of(truth, rows)
    volumes = (*true, *found, run.consensus() * run.mask())
    enclosed = (*voxels, *voxels, round(np.mean(voxels)))
    surfaces = [x - level_enclosing(x, count) for x, count in zip(volumes, enclosed, strict=True)]
    scene = scene_of(true[by_state[0]], true[by_state[-1]], surfaces)
    count = len(rows)
    still = scene.draw(surfaces[-1], 0.0, MIXED, SIZE)
    images = run.movies()[0].images.read(rows)
    sides = [
        Side("Seen", "the image, from a side of its own", [_gray(x, scene.zoom) for x in images]),
        Side("Truth", "what it was made from", [scene.draw(x, 0.0, TRUE, SIZE) for x in surfaces[:count]]),
        Side(
            "Answer",
            "recovered for this frame",
            [scene.draw(x, 0.0, FOUND, SIZE) for x in surfaces[count:-1]],
        ),
        Side("Motion ignored", "all images as one volume", [still] * count),
    ]
    return sides, [int(x) for x in of_movie["frame"]]


def _gray(image: npt.NDArray[np.float32], zoom: float) -> npt.NDArray[np.uint8]:
    """The middle of an image as RGBA, as near as a scene of this zoom, enlarged by whole pixels."""
    half = max(1, round(len(image) / 2 / zoom))
    middle = slice(len(image) // 2 - half, len(image) // 2 + half)
    low, high = np.quantile(image, [0.005, 0.995])
    gray = (np.clip((image[middle, middle] - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
    large = np.kron(gray, np.ones((max(1, SIZE // len(gray)),) * 2, np.uint8))
    return np.dstack((large, large, large, np.full_like(large, 255)))


def _player(sides: Sequence[Side], frames: Sequence[int]) -> str:
    columns = []
    for side in sides:
        # A side that never changes is held once.
        same = all(x is side.pictures[0] for x in side.pictures)
        panels = "".join(
            f"<div{'' if same else f' data-frame={i}'}>{picture(x, f'{side.title}, frame {frame}')}</div>"
            for i, (frame, x) in enumerate(zip(frames, side.pictures, strict=True))
            if i == 0 or not same
        )
        caption = f"<figcaption><b>{escape(side.title)}</b><br>{escape(side.note)}</figcaption>"
        columns.append(f"<figure>{panels}{caption}</figure>")
    controls = (
        '<div class="controls"><button id="play">Play</button>'
        f'<input id="frame" type="range" min="0" max="{len(frames) - 1}" value="0" aria-label="Frame"></div>'
    )
    return f'<div class="sides">{"".join(columns)}</div>{controls}'


@in_house_style
def _picture(sides: Sequence[Side], frames: Sequence[int]) -> Figure:
    """A row for each side, a column for each of some frames."""
    chosen = evenly_spaced(len(frames), COLUMNS_IN_PICTURE)
    figure = new_figure(1.6 * len(chosen) + 0.4, 1.6 * len(sides) + 0.3)
    axes = figure.subplots(len(sides), len(chosen), squeeze=False)
    for row, side in zip(axes, sides, strict=True):
        for axis, index in zip(row, chosen, strict=True):
            axis.imshow(side.pictures[index])
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(side.title, fontsize=12)
    for axis, index in zip(axes[0], chosen, strict=True):
        axis.set_title(f"frame {frames[index]}", loc="center")
    return figure

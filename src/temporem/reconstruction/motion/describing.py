"""A run's motion as files: arrows, amplitudes and rigid parts, to look at in ChimeraX or to compute with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from temporem.files import replacing, write_text
from temporem.progress import progress
from temporem.reconstruction.contour import contour_level
from temporem.reconstruction.motion.field import MotionField, open_motion
from temporem.reconstruction.motion.segments import Segments, rigid_segments
from temporem.reconstruction.run import Run
from temporem.reconstruction.volume_file import write_volume

__all__ = ["MotionFound", "write_motion"]

STATES = 40
"""Of the run, evenly chosen, that amplitudes and rigid parts are found from."""
ARROWS = 500
PALETTE = "#440154:#3b528b:#21918c:#5ec962:#fde725"
"""Viridis, which ChimeraX does not know by name."""
LEAST_OCCUPANCY = 0.1
"""Of the canonical density, in the state with most of it: with less there is nothing to compare with."""
_SHORTEST_IN_ANGSTROMS = 0.1
"""Of arrows that are drawn."""
_REACH_IN_PIXELS = 1.5
"""Of a point, in maps of what points have."""


@dataclass(frozen=True, eq=False)
class MotionFound:
    """What `write_motion` found."""

    reference_image: int
    """Row whose state the displacements start from: the run's middle one."""
    amplitude_in_angstroms: float
    """Rms displacement from the mean position, over the states and the density."""
    appearing_share: float
    """Of the density, what appears and vanishes: standard deviation of the occupancy over the states."""
    segments: Segments
    """In `STATES` states of the run."""


def write_motion(run: Run, output: Path, rows: Sequence[int], count: int | None, seed: int) -> MotionFound:
    """Write what moves into the folder `output`.

    - `reference.mrc`: the volume of the reference image; `amplitude.mrc`: rms displacement in Å;
      `appearing.mrc`: standard deviation of the occupancy; `parts.mrc`: 1, 2, … where the rigid parts are;
      `motion.cxc` shows them in ChimeraX.
    - `arrows_*.bild`: displacements of each image's state from the reference, for ChimeraX.
    - `motion.npz`: `points` (points, 3), `weight`, `part`, `amplitude` and, for each row in `image`,
      `displacement` (images, points, 3), all in Å and in the frame of the maps, x, y, z, and `occupancy`
      (images, points), relative to the state in which most of that density is there.
    - `parts.csv`: in each image, each part's turn against the first part (degrees) and its centre's shift in
      the box (Å).

    Raises UserError for rows that the run does not have, and where its generator does not move one density.
    """
    field = open_motion(run)
    asked = run.states(rows)
    latents = run.latents()
    every = latents["image"].to_numpy()
    sampled = every[np.linspace(0, len(every) - 1, min(STATES, len(every))).round().astype(int)]
    reference_image = _middle(run, every)
    reference = field.carried(field.points, run.states([reference_image]))[0]
    position = field.carried(field.points, run.states(sampled))
    squared = (position - position.mean(0)).square().sum(-1).mean(0)
    amplitude = squared.sqrt()
    segments = rigid_segments(reference, position, field.weight, count, seed)

    output.mkdir(parents=True, exist_ok=True)
    pixel = field.generator.config.pixel_size_in_angstroms
    volume = next(volume for _, volume in run.volumes([reference_image]))
    write_volume(output / "reference.mrc", volume, pixel)
    write_volume(output / "amplitude.mrc", _map(field, reference, amplitude), pixel)
    occupancy = field.occupancy(run.states(sampled))
    fullest = occupancy.amax(0).clamp(min=LEAST_OCCUPANCY)
    appearing = (occupancy / fullest).std(0)
    write_volume(output / "appearing.mrc", _map(field, reference, appearing), pixel)
    write_volume(output / "parts.mrc", _map(field, reference, segments.label + 1.0), pixel)
    shown = _thinned(reference, field.weight)
    displacements, table = [], []
    with progress("Writing displacements", len(rows)) as advance:
        for order, row in enumerate(rows):
            here = field.carried(field.points, asked[order : order + 1])[0]
            displacements.append((here - reference).numpy())
            name = f"arrows_{order:05d}_image_{row:06d}.bild"
            write_text(output / name, bild(reference[shown], here[shown]))
            table.append(_parts(reference, here, field.weight, segments).assign(image=row))
            advance(1, "")
    parts = latents[["image", "movie", "frame", "time"]].merge(pd.concat(table), on="image")
    write_text(output / "parts.csv", parts.to_csv(index=False, float_format="%.4f"))
    with replacing(output / "motion.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            points=reference.numpy(),
            weight=field.weight.numpy(),
            part=segments.label.numpy() + 1,
            amplitude=amplitude.numpy(),
            image=np.asarray(rows),
            displacement=np.stack(displacements),
            occupancy=(field.occupancy(asked) / fullest).numpy(),
        )
    largest = int(np.argmax([float(np.square(x).sum()) for x in displacements]))
    arrows = f"arrows_{largest:05d}_image_{rows[largest]:06d}.bild"
    level = contour_level(volume, run.mask())
    write_text(output / "motion.cxc", _script(run, level, float(amplitude.max()), arrows))
    weighted = float(((squared * field.weight).sum() / field.weight.sum()).sqrt())
    share = float((appearing * field.weight).sum() / field.weight.sum())
    return MotionFound(reference_image, weighted, share, segments)


def bild(start: Float[Tensor, "points 3"], end: Float[Tensor, "points 3"]) -> str:
    """Arrows of ChimeraX's BILD format, coloured by length; what hardly moves gets none."""
    length = (end - start).norm(dim=-1)
    colours = matplotlib.colormaps["viridis"]((length / length.max().clamp(min=1e-6)).numpy())
    lines = []
    for a, b, colour in zip(start.tolist(), end.tolist(), colours, strict=True):
        if sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) < _SHORTEST_IN_ANGSTROMS**2:
            continue
        lines.append(".color " + " ".join(f"{part:.3f}" for part in colour[:3]))
        ends = " ".join(f"{x:.3f}" for x in (*a, *b))
        lines.append(f".arrow {ends} 0.3 0.8 0.7")
    return "\n".join(lines) + "\n"


def _middle(run: Run, every: "np.typing.NDArray[np.integer]") -> int:
    z = run.states(every)
    scaled = (z - z.median(0).values) / z.std(0).clamp(min=1e-6)
    return int(every[int(scaled.square().sum(-1).argmin())])


def _map(
    field: MotionField, position: Float[Tensor, "points 3"], value: Float[Tensor, " points"]
) -> Float[Tensor, "n n n"]:
    """What the nearest point has, in voxels that have one near; 0 elsewhere."""
    n, pixel = field.generator.box_size, field.generator.config.pixel_size_in_angstroms
    axis = np.arange(n) * pixel
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    voxels = np.stack((x, y, z), axis=-1).reshape(-1, 3)
    reach = _REACH_IN_PIXELS * pixel
    distance, nearest = cKDTree(position.numpy()).query(voxels, distance_upper_bound=reach)
    found = np.where(np.isfinite(distance), np.append(value.numpy(), 0)[nearest], 0)
    return torch.from_numpy(found.reshape(n, n, n).astype(np.float32))


def _thinned(position: Float[Tensor, "points 3"], weight: Float[Tensor, " points"]) -> Tensor:
    """Indices of at most `ARROWS` points, the heaviest of each cell of a grid as fine as that allows."""
    cell = 2.0
    while True:
        place = (position / cell).floor().long().numpy()
        order = weight.argsort(descending=True)
        _, first = np.unique(place[order.numpy()], axis=0, return_index=True)
        if len(first) <= ARROWS:
            return order[torch.from_numpy(np.sort(first))]
        cell *= 1.1


def _parts(
    reference: Float[Tensor, "points 3"],
    here: Float[Tensor, "points 3"],
    weight: Float[Tensor, " points"],
    segments: Segments,
) -> pd.DataFrame:
    found = segments.followed(reference, here[None], weight)
    centre = torch.stack([_centre(reference, weight, segments, part) for part in range(segments.count)])
    moved = torch.stack([_centre(here, weight, segments, part) for part in range(segments.count)])
    return pd.DataFrame(
        {
            "part": range(1, segments.count + 1),
            "turn_against_part_1_in_degrees": found.angle_in_degrees[0].numpy(),
            "shift_in_angstroms": (moved - centre).norm(dim=-1).numpy(),
            "unexplained_in_angstroms": found.unexplained[0].numpy(),
        }
    )


def _centre(
    position: Float[Tensor, "points 3"], weight: Float[Tensor, " points"], segments: Segments, part: int
) -> Float[Tensor, "3"]:
    own = segments.label == part
    return weight[own] @ position[own] / weight[own].sum()


def _script(run: Run, level: float, largest: float, arrows: str) -> str:
    lines = (
        f"# What moves in {' '.join(run.path.name.split())}: open this file in a new session of ChimeraX",
        # Each by itself: several files of one command would be one group, #1.1 and on.
        "open reference.mrc",
        "open amplitude.mrc",
        "open parts.mrc",
        f"volume #1 style surface step 1 level {level:.6g}",
        "hide #2,3 models",
        f"color sample #1 map #2 palette {PALETTE} range 0,{max(largest, 1e-3):.3g}",
        f"open {arrows}",
        "transparency #1 40",
        "view",
    )
    return "\n".join(lines) + "\n"

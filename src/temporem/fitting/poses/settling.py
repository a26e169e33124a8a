"""Which poses a reconstruction takes: those given, those refined from them, or those found from nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from temporem.fitting.frames import FrameStore
from temporem.fitting.options import PoseKind
from temporem.fitting.poses.estimating import estimate_poses
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.refining import change, refine_poses
from temporem.fitting.poses.rest_frame import at_rest
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames, translation_in_pixels
from temporem.progress import console

__all__ = [
    "bring_to_rest",
    "changes_told",
    "changes_with_motion",
    "settle_poses",
    "with_poses",
    "without_poses",
]

AT_REST = (
    "What stands still while the rest moves images do not tell either: these poses have the frame of"
    " reference in which the molecule moves least."
)
FARTHEST_IN_DEGREES = 10.0
"""Of the median frame: a refinement climbs from a few degrees off, and goes anywhere from farther."""


def without_poses(movies: MovieSet) -> MovieSet:
    """The movies with every frame unturned and in its place: their own poses left aside."""
    count = len(movies)
    unturned = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    return replace(movies, rotation=unturned, translation_in_angstroms=np.zeros((count, 2), np.float32))


def settle_poses(
    movies: MovieSet, prepared: PreparedFrames, kind: PoseKind, seed: int
) -> tuple[MovieSet, dict[str, Any]]:
    """The movies with the poses to go on with, and what is to be said of these; computed on the processor.

    Raises UserError where the frames do not bear out the poses given, or bear out none.
    """
    if kind == "given":
        return movies, {"kind": kind}
    store = FrameStore(without_poses(movies), prepared, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    pixel_size = prepared.pixel_size_in_angstroms
    if kind == "estimate":
        estimated = estimate_poses(store, generator)
        found, facts = estimated.poses, estimated.facts | {"at_rest": False}
    else:
        given = _poses_of(movies, prepared)
        found = refine_poses(store, given, generator)
        facts = changes_told(given, found, pixel_size)
    for sentence in (facts["words"], facts.get("tumbling"), facts.get("warning")):
        if sentence:
            console.print(sentence, highlight=False, soft_wrap=True)
    return with_poses(movies, found, pixel_size), {"kind": kind, **facts}


def bring_to_rest(
    movies: MovieSet, prepared: PreparedFrames, facts: dict[str, Any], seed: int
) -> tuple[MovieSet, dict[str, Any]]:
    """Movies whose poses were found from nothing, in the frame of reference of least motion; and `facts`,
    which `settle_poses` told of them, with that.

    Raises UserError where a fit of the motion loses its numbers.
    """
    store = FrameStore(without_poses(movies), prepared, torch.device("cpu"))
    found = at_rest(store, _poses_of(movies, prepared), torch.Generator().manual_seed(seed))
    console.print(AT_REST, highlight=False, soft_wrap=True)
    told = {"at_rest": True, "words": f"{facts['words']} {AT_REST}"}
    return with_poses(movies, found, prepared.pixel_size_in_angstroms), facts | told


def _poses_of(movies: MovieSet, prepared: PreparedFrames) -> Poses:
    rotation = torch.from_numpy(np.asarray(movies.rotation, dtype=np.float32))
    return Poses(rotation, torch.from_numpy(translation_in_pixels(movies, prepared)))


def with_poses(movies: MovieSet, poses: Poses, pixel_size_in_angstroms: float) -> MovieSet:
    """The movies at these poses; the pixels are those of the prepared frames."""
    translation = poses.translation_in_pixels.cpu().numpy() * pixel_size_in_angstroms
    return replace(movies, rotation=poses.rotation.cpu().numpy(), translation_in_angstroms=translation)


def changes_told(given: Poses, found: Poses, pixel_size_in_angstroms: float) -> dict[str, Any]:
    """How far the poses moved, in numbers and in words, with a warning where that is too far."""
    numbers = _changes(given, found, pixel_size_in_angstroms)
    words = (
        f"Poses were refined from those given: they turned by {numbers['median_turn_in_degrees']:.1f}° in the"
        f" median (90 % within {numbers['percentile_90_turn_in_degrees']:.1f}°) and moved by"
        f" {numbers['median_shift_in_angstroms']:.1f} Å"
        f" (90 % within {numbers['percentile_90_shift_in_angstroms']:.1f} Å)."
    )
    warning = (
        "Refined poses turned farther than nearly right ones would: those given are wrong, or the images do"
        " not tell. Do not trust these poses; try --poses estimate."
    )
    too_far = not numbers["median_turn_in_degrees"] <= FARTHEST_IN_DEGREES
    return numbers | {"words": words, "warning": warning if too_far else ""}


def changes_with_motion(before: Poses, found: Poses, pixel_size_in_angstroms: float) -> dict[str, Any]:
    """How far the fit of the motion moved the poses it began with, in numbers and in words."""
    numbers = _changes(before, found, pixel_size_in_angstroms)
    words = (
        f"With the motion they were refined further, by {numbers['median_turn_in_degrees']:.1f}° and"
        f" {numbers['median_shift_in_angstroms']:.1f} Å in the median."
    )
    return numbers | {"words": words}


def _changes(given: Poses, found: Poses, pixel_size_in_angstroms: float) -> dict[str, float]:
    turn, shift = change(given, found)
    numbers: dict[str, float] = {}
    for name, values in (
        ("turn_in_degrees", torch.rad2deg(turn.norm(dim=-1))),
        ("shift_in_angstroms", shift.norm(dim=-1) * pixel_size_in_angstroms),
    ):
        numbers[f"median_{name}"] = float(values.median())
        numbers[f"percentile_90_{name}"] = float(values.quantile(0.9))
    return numbers

"""Poses from nothing: several random starts, the best of them by frames left out, and climbing from there.

From coarse to fine: every frame is searched for on a grid against the volume of the best start, climbs from
its likeliest candidates (cryoSPARC's branch and bound, Punjani et al. 2017, bounds as it subdivides; here
each branch is climbed in instead), then with the volumes of all frames, and of each state.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.ab_initio import LEVELS, STEPS, first_volume, radius_within, sphere
from temporem.fitting.poses.climbing import SlopedVolume, climb
from temporem.fitting.poses.diffusion import Tumbling, learn_tumbling
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.half_volumes import half_volumes
from temporem.fitting.poses.refining import along_states, box_of, climb_along
from temporem.fitting.poses.search import Candidates
from temporem.fitting.poses.wide_search import GRID, climb_candidates, search_widely, weak_prior
from temporem.physics.pose_alignment import align_poses
from temporem.physics.rotation_grids import angular_spacing
from temporem.physics.rotations import angular_distance
from temporem.progress import progress

__all__ = ["Estimated", "agreement_of", "estimate_poses"]

STARTS = 3
SEARCHED_FRAMES, JUDGING_FRAMES = 1000, 200
"""At most, that a start is made from, and that starts are judged by."""
RESOLUTIONS = (20.0, 15.0, 12.0)
STATE_RESOLUTIONS = (12.0, 9.0, 7.0)
CONSENSUS_STEPS = 4
AGREEING_IN_DEGREES = 20.0
"""Starts agree where the median frame's poses do within this angle: a cell of the grid and a half."""


@dataclass(frozen=True, eq=False)
class Estimated:
    """Poses, and how far they are to be trusted."""

    poses: Poses
    facts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Start:
    volume: Float[Tensor, "n n n"]
    judged: Candidates
    """Of the judging frames, left out of the volume."""


def estimate_poses(store: FrameStore, generator: torch.Generator, tumbles: bool = True) -> Estimated:
    """Find the pose of every frame, the store's own left aside, and say how sure it is.

    With `tumbles`, rotations of a movie's frames may depend on each other as rotational diffusion makes them,
    as strongly as the frames themselves say; else they are independent.

    Raises UserError where the poses found make no volume.
    """
    searched, judging = _divided(store, generator)
    starts = [_start(store, searched, judging, index, generator) for index in range(STARTS)]
    facts = agreement_of([start.judged for start in starts])
    best = max(starts, key=lambda start: float(start.judged.evidence.mean()))
    rows = torch.arange(len(store))
    radius, volume = radius_within(store, LEVELS[-1].radius), best.volume
    poses: Poses | None = None
    for resolution in RESOLUTIONS:
        if poses is None or resolution == RESOLUTIONS[1]:
            # The second search mends what the first, with a poorer volume, got wrong.
            with progress("Poses of all frames", len(rows)) as advance:
                candidates = search_widely(store, volume, rows, radius, advance)
            message = torch.zeros_like(candidates.log_likelihood)
            if tumbles:
                tumbling = learn_tumbling(store, candidates, angular_spacing(GRID))
                facts |= _of(tumbling)
                message = tumbling.message
            poses = climb_candidates(store, volume, rows, candidates, message, radius, CONSENSUS_STEPS).poses
        box = box_of(store, resolution)
        count = store.lattice.count_within(box // 2 - 1)
        volumes = half_volumes(store, poses, box, sphere(box))
        turn, prior = store.halves(), weak_prior(poses, store)
        with progress(f"Poses at {resolution:g} Å", len(store)) as advance:
            for half in (0, 1):
                of_half = (turn == half).nonzero().squeeze(-1)
                leading = SlopedVolume(volumes.leading(half))
                climbed = climb(
                    leading, store, of_half, poses[of_half], count, CONSENSUS_STEPS, prior[of_half]
                )
                poses = poses.with_rows(of_half, climbed.poses)
                advance(len(of_half), "")
        volume = volumes.whole
        radius = min(LEVELS[-1].radius + 2, box // 2 - 1)
    if poses is None:
        raise ValueError("there is a resolution at least")
    for resolution in STATE_RESOLUTIONS:
        posed = store.posed(poses)
        volumes_at, mask, z = along_states(posed, generator)
        poses = climb_along(volumes_at, mask, z, store, poses, resolution, weak_prior(poses, store)).poses
    return Estimated(poses, facts)


def _divided(
    store: FrameStore, generator: torch.Generator
) -> tuple[Int[Tensor, " searched"], Int[Tensor, " judging"]]:
    """Frames to start from and, of other movies, to judge by; both random."""
    order = torch.randperm(len(store.movie_rows), generator=generator).tolist()
    held = max(1, len(order) // 6)
    parts = []
    for movies, most in ((order[held:] or order, SEARCHED_FRAMES), (order[:held], JUDGING_FRAMES)):
        frames = torch.cat([torch.as_tensor(store.movie_rows[i].copy()) for i in movies])
        parts.append(frames[torch.randperm(len(frames), generator=generator)[:most]])
    return parts[0], parts[1]


def _start(
    store: FrameStore,
    searched: Int[Tensor, " searched"],
    judging: Int[Tensor, " judging"],
    index: int,
    generator: torch.Generator,
) -> _Start:
    with progress(f"Random start {index + 1} of {STARTS}", STEPS) as advance:
        volume = first_volume(store, searched, generator, advance)
    name = f"Judging start {index + 1} of {STARTS}"
    radius = radius_within(store, LEVELS[-1].radius)
    with progress(name, len(judging)) as advance:
        return _Start(volume, search_widely(store, volume, judging, radius, advance))


def _of(tumbling: Tumbling) -> dict[str, Any]:
    """The rotational diffusion found, in numbers and in words; None for frames independent of each other."""
    free = math.isinf(tumbling.coefficient)
    words = (
        "Rotations of neighbouring frames were found to be independent."
        if free
        else f"Rotations of neighbouring frames depend on each other: a rotational diffusion coefficient of"
        f" {tumbling.coefficient:.2g} rad² per frame foretells them better than independence, by"
        f" {tumbling.gain:.2f} nats a frame."
    )
    coefficient = None if free else tumbling.coefficient
    return {"rotational_diffusion": coefficient, "gain_of_diffusion": tumbling.gain, "tumbling": words}


def agreement_of(starts: list[Candidates]) -> dict[str, Any]:
    """Whether other starts found what the best one did, in numbers and in words.

    `starts` are the candidates of the same frames, left out of the volumes of all starts.
    """
    score = torch.stack([start.evidence.mean() for start in starts])
    best = int(score.argmax())
    poses = [start.poses(torch.zeros(len(start.evidence), dtype=torch.long)) for start in starts]
    apart, close = [], []
    for other in range(len(starts)):
        own, of_best = ((poses[i].rotation, poses[i].translation_in_pixels) for i in (other, best))
        turned, _ = align_poses(own, of_best).poses(*own)
        angle = angular_distance(turned.float(), of_best[0])
        apart.append(math.degrees(float(angle.median())))
        close.append(float((angle < math.radians(AGREEING_IN_DEGREES)).float().mean()))
    others = [i for i in range(len(starts)) if i != best]
    agreeing = [i for i in others if apart[i] < AGREEING_IN_DEGREES]
    confidence = max((close[i] for i in others), default=0.0)
    behind = [float(score[best] - score[i]) for i in others]
    words = (
        f"Poses were found from nothing: of {len(starts)} random starts, {len(agreeing) + 1} found the same"
        f" molecule; the nearest other start puts {confidence:.0%} of the frames left out within"
        f" {AGREEING_IN_DEGREES:g}° of where the best one does. Its hand cannot be told from the images."
    )
    warning = (
        ""
        if agreeing
        else (
            "Restarts disagree: no other random start found what the best one did. Do not trust these poses;"
            " try another --seed, more movies, or poses to refine."
        )
    )
    return {
        "log_likelihood_of_starts": score.tolist(),
        "best_start_ahead_by": min(behind, default=0.0),
        "median_degrees_from_best": apart,
        "agreeing_starts": len(agreeing) + 1,
        "confidence": confidence,
        "words": words,
        "warning": warning,
    }

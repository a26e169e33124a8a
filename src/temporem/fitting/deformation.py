"""Fit a canonical density and its motion to all frames: coarse to fine, from the linear method's answer.

At each resolution the field climbs the likelihood by Adam and the density by whitened gradient steps, the
states held; then the states take a step of the smoother, and the poses with them where that is asked for.
In the end folds are undone, and the density is solved for.
"""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.canonical_density import (
    CanonicalDensity,
    information_in_shells,
    lattice_edge,
    solve_density,
)
from temporem.fitting.canonical_support import canonical_support
from temporem.fitting.checkpoints import (
    facts_digest,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    taking_up,
)
from temporem.fitting.deformation_choice import misfit_of_movies, rows_of
from temporem.fitting.deformation_climb import Climb
from temporem.fitting.deformation_options import DeformationOptions
from temporem.fitting.deformation_poses import refined_with_poses
from temporem.fitting.deformation_states import (
    RefinedStates,
    likeliest_relaxation_time,
    radius_at,
    smoothed,
    told_of_states,
)
from temporem.fitting.frames import FrameStore
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.lost_frames import place_anew
from temporem.fitting.poses.refining import with_mean_of
from temporem.fitting.poses.superposition import from_frame, to_rest
from temporem.fitting.positive_density import Positive, on_positive_points
from temporem.fitting.unfolding import unfold
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.physics.points import point_volume

__all__ = ["CHECKPOINT", "Deformed", "fit_deformation"]

CHECKPOINT = "deformation"
_LEAST_RATE = 0.05
"""Of the rates at the start: where their half cosine ends."""
_POSES_FROM_IN_ANGSTROMS = 14.0
"""A coarser molecule says too little of its poses."""
_FIRST_RELAXATION_TIME = 5.0
"""In usual frame intervals: where the first search for the likeliest begins."""


@dataclass(frozen=True)
class Deformed:
    """What was found."""

    generator: DeformableGenerator
    states: RefinedStates
    relaxation_time: Float[Tensor, " latent"]
    """In usual frame intervals."""
    poses: Poses
    """Of all frames: those of the store, or refined from them."""
    positive: Positive | None = None
    """Whether negative amplitudes were left out; None where no movies could tell."""


def fit_deformation(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    volume: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"],
    signal_power: Float[Tensor, " shells"],
    options: DeformationOptions,
    seed: int,
    folder: Path | None,
    advance: Callable[[int, str], None],
    record: Callable[[dict[str, Any]], object],
    left_out: Sequence[int] = (),
    judge: Callable[[Deformed], object] | None = None,
) -> Deformed:
    """Start from states z of unit variance and the volume of one of them; `mask` holds all it ever becomes.

    Where `folder` is given, each stage leaves a checkpoint there, and a fit takes up the last one. Every pass
    is told to `record`, those of a fit taken up again first. Motion and density are fitted without the movies
    `left_out`, which decide on negative amplitudes (`positive_density`); `judge` sees that fit. Then the
    density is solved for with all.

    Raises UserError where numbers are lost to overflow.
    """
    support = canonical_support(volume, mask)
    kept = [movie for movie in range(len(store.movie_rows)) if movie not in set(left_out)]
    fitted, rows = store.only(kept), rows_of(store, kept).to(volume.device)
    information, given = information_in_shells(fitted), store.poses
    zero = z.new_zeros(*z.shape, z.shape[-1])
    found = Deformed(
        _new_generator(store, z.shape[-1], options, seed),
        RefinedStates(z, zero),
        torch.full_like(z[0], _FIRST_RELAXATION_TIME),
        store.poses,
    )
    first, records = 0, list[dict[str, Any]]()
    if folder is not None and has_checkpoint(folder, CHECKPOINT):
        found, first, records = _taken_up(found, options, folder)
        for line in records:
            record(line)
        volume = _canonical_volume(found.generator)
        store = store.posed(found.poses)
        fitted = store.only(kept)
        advance(sum(stage.passes for stage in options.stages[:first]), "")
    total = sum(stage.passes for stage in options.stages)
    for index, stage in enumerate(options.stages):
        radius = radius_at(store, stage.resolution_in_angstroms)
        if index < first:
            continue
        density = CanonicalDensity(
            support, lattice_edge(support.shape[-1], radius), radius, information, signal_power
        )
        random = torch.Generator().manual_seed(_seed(seed, index))
        z = found.states.mean[rows]
        count = store.lattice.count_within(radius)
        climb = Climb(fitted, found.generator, z, density, volume, options, random, count)
        before = sum(earlier.passes for earlier in options.stages[:index])
        for done in range(before, before + stage.passes):
            began = time.monotonic()
            terms = climb.run(_LEAST_RATE + (1 - _LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * done / total)))
            resolution = store.pixel_size_in_angstroms * support.shape[-1] / radius
            advance(1, f"{resolution:.0f} Å, −log likelihood {terms['negative_log_likelihood']:.1f}")
            at = {"stage": "deformation", "epoch": done + 1, "resolution_in_angstroms": resolution}
            records.append(terms | at | {"seconds": time.monotonic() - began})
            record(records[-1])
        found = _agreed(_after_stage(found, store, given, options, index, radius, seed, advance), store)
        store = store.posed(found.poses)
        fitted = store.only(kept)
        volume = _canonical_volume(found.generator)
        if folder is not None:
            _save(found, options, folder, index + 1, records)
    z, generator = found.states.mean, found.generator

    def solve(of: FrameStore, told: Tensor, states: Tensor, where: Tensor, start: Tensor, steps: int) -> None:
        density = CanonicalDensity(where, where.shape[-1], store.lattice.radius, told, signal_power)
        solve_density(of, generator, density, density.start(start), states, steps, advance)
        generator.amplitude = store.processes.of_first(generator.amplitude)

    if options.solves:
        advance(0, "looking for folds")
        least = unfold(generator, z, _seed(seed, len(options.stages)), advance)
        advance(0, f"least volume change {least:.2f}")
        store.processes.align(generator.field)
        # A noisy density would be judged by its noise.
        solve(fitted, information, z[rows], support, volume, options.solves)
        if left_out:
            positive = on_positive_points(
                generator,
                support,
                lambda where: solve(fitted, information, z[rows], where, volume, options.solves),
                lambda: misfit_of_movies(left_out, store, generator, z),
            )
            if positive.solved is None:
                advance(options.solves + 1, "")
            support, found = positive.support, replace(found, positive=positive)
    if judge is not None:
        judge(found)
    if left_out and options.more_solves:
        start = _canonical_volume(generator)
        solve(store, information_in_shells(store), z, support, start, options.more_solves)
    return found


def _after_stage(
    found: Deformed,
    store: FrameStore,
    given: Poses,
    options: DeformationOptions,
    index: int,
    radius: int,
    seed: int,
    advance: Callable[[int, str], None],
) -> Deformed:
    """A step of the states at the end of that stage, and of the poses where that is asked for."""
    z, time_scale = found.states.mean, found.relaxation_time
    if options.poses == "given" or options.stages[index].resolution_in_angstroms > _POSES_FROM_IN_ANGSTROMS:
        told = told_of_states(found.generator, store, z, radius)
        time_scale = likeliest_relaxation_time(told, store, time_scale)
        return replace(found, states=smoothed(told, store, time_scale), relaxation_time=time_scale)
    # Later rates are low: the field could not follow a new frame of reference, nor frames found again.
    at_rest = options.poses == "estimate" and index < len(options.stages) // 2
    if at_rest:
        placed = place_anew(found.generator, store, z, radius, _seed(seed, index))
        advance(0, f"{placed.lost} frames lost, {placed.found} found again")
        z, store = placed.z, store.posed(placed.poses)
    states, time_scale, poses = refined_with_poses(found.generator, store, z, radius, time_scale)
    if options.poses == "refine":
        poses = with_mean_of(poses, given, states.mean.cpu())
    elif at_rest:
        poses = from_frame(poses, *to_rest(found.generator, states.mean))
    return Deformed(found.generator, states, time_scale, poses)


def _agreed(found: Deformed, store: FrameStore) -> Deformed:
    """What the first process has found: each finds poses anew, and another machine might round otherwise."""
    same = store.processes.of_first
    states = RefinedStates(same(found.states.mean), same(found.states.covariance))
    poses = Poses(same(found.poses.rotation), same(found.poses.translation_in_pixels))
    return replace(found, states=states, poses=poses, relaxation_time=same(found.relaxation_time))


def _seed(seed: int, stage: int) -> int:
    """A seed of its own for each stage, so that resuming needs no random state from before it."""
    return int.from_bytes(hashlib.sha256(f"{seed} deformation {stage}".encode()).digest()[:6])


def _new_generator(
    store: FrameStore, latent_dim: int, options: DeformationOptions, seed: int
) -> DeformableGenerator:
    config = DeformableGeneratorConfig(
        store.lattice.box_size,
        latent_dim,
        store.pixel_size_in_angstroms,
        modes=options.modes,
        width=options.width,
    )
    # Layers draw their first weights from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DeformableGenerator(config, torch.Generator().manual_seed(seed)).to(store.device)


def _canonical_volume(generator: DeformableGenerator) -> Float[Tensor, "n n n"]:
    width = float(generator.width_in_pixels)
    return point_volume(generator.points, generator.amplitude, generator.box_size, width)


def _save(
    found: Deformed, options: DeformationOptions, folder: Path, stages: int, records: list[dict[str, Any]]
) -> None:
    tensors = {f"generator.{name}": value for name, value in found.generator.state_dict().items()}
    tensors |= {"mean": found.states.mean, "covariance": found.states.covariance}
    tensors["relaxation_time"] = found.relaxation_time
    tensors |= {"rotation": found.poses.rotation, "translation": found.poses.translation_in_pixels}
    facts = {"generator": found.generator.describe(), "stages": stages, "records": records}
    facts["options"] = facts_digest(asdict(options))
    save_checkpoint(folder, CHECKPOINT, tensors, facts)


def _taken_up(
    fresh: Deformed, options: DeformationOptions, folder: Path
) -> tuple[Deformed, int, list[dict[str, Any]]]:
    tensors, facts = load_checkpoint(folder, CHECKPOINT)
    with taking_up(folder, CHECKPOINT):
        if facts["options"] != facts_digest(asdict(options)):
            raise ValueError("motions were fitted otherwise")
        generator = DeformableGenerator.from_description(facts["generator"], lambda _: fresh.generator)
        weights = {k.removeprefix("generator."): x for k, x in tensors.items() if k.startswith("generator.")}
        generator.load_state_dict(weights)
        device = fresh.states.mean.device
        states = RefinedStates(tensors["mean"].to(device), tensors["covariance"].to(device))
        relaxation = tensors["relaxation_time"].to(device)
        poses = Poses(tensors["rotation"], tensors["translation"])
        return (
            Deformed(generator.to(device), states, relaxation, poses),
            int(facts["stages"]),
            list(facts["records"]),
        )

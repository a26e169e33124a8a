"""Fit a canonical density and its motion to all frames: coarse to fine, from the linear method's answer.

At each resolution the field climbs the likelihood by Adam and the density by whitened gradient steps, the
states held; then the states take a step of the smoother, and the poses with them where that is asked for.
In the end the density is solved for.
"""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from temporem.fitting.canonical_density import (
    CanonicalDensity,
    information_in_shells,
    lattice_edge,
    solve_density,
)
from temporem.fitting.canonical_support import canonical_support
from temporem.fitting.checkpoints import has_checkpoint, load_checkpoint, save_checkpoint, taking_up
from temporem.fitting.deformation_choice import misfit_of_movies, rows_of
from temporem.fitting.deformation_poses import refined_with_poses
from temporem.fitting.deformation_prior import folding, neighbours, strain
from temporem.fitting.deformation_states import (
    RefinedStates,
    likeliest_relaxation_time,
    radius_at,
    smoothed,
    told_of_states,
)
from temporem.fitting.frames import FrameStore
from temporem.fitting.options import PoseKind
from temporem.fitting.poses.found import Poses
from temporem.fitting.poses.lost_frames import place_anew
from temporem.fitting.poses.refining import with_mean_of
from temporem.fitting.poses.superposition import from_frame, to_rest
from temporem.fitting.positive_density import without_negative_parts
from temporem.fitting.stability import require_finite
from temporem.model.batches import MovieBatch
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig
from temporem.physics.points import point_volume

__all__ = ["CHECKPOINT", "DeformationOptions", "Deformed", "Stage", "fit_deformation", "passes"]

CHECKPOINT = "deformation"
TERMS = (
    "negative_log_likelihood",
    "rigidity_prior",
    "folding_prior",
    "conservation_prior",
    "density_prior",
)
"""Of the objective, in nats per frame; the first of the coefficients up to the resolution of the pass."""
_MOMENTUM = 0.9
_STATES_IN_PRIOR = 4
"""Of a batch, on which strain, folding and change of occupancy are judged."""
_LEAST_RATE = 0.05
"""Of the rates at the start: where their half cosine ends."""
_POSES_FROM_IN_ANGSTROMS = 14.0
"""A coarser molecule says too little of its poses."""
_LAST_STAGES = 2
"""In which the frame of reference stays, and no frame is sought, for the field has no time to follow."""
_FIRST_RELAXATION_TIME = 5.0
"""In usual frame intervals: where the first search for the likeliest begins."""
_REMEDY = "try another --seed, or --method linear"


@dataclass(frozen=True)
class Stage:
    """Passes over the frames at one resolution, and a step of the states after them."""

    resolution_in_angstroms: float
    """Finest; 0 is Nyquist."""
    passes: int


@dataclass(frozen=True)
class DeformationOptions:
    """Choices of the fit, by measurement."""

    stages: tuple[Stage, ...] = (
        Stage(19.0, 3),
        Stage(19.0, 3),
        Stage(14.0, 3),
        Stage(9.5, 3),
        Stage(0.0, 2),
        Stage(0.0, 2),
        Stage(0.0, 2),
    )
    modes: int = 12
    width: int = 64
    frames_per_batch: int = 20
    field_rate: float = 12e-3
    """Of Adam, at the start, for motion and occupancy."""
    density_rate: float = 0.03
    """Share of a Newton step that a batch makes, at the start."""
    rigidity: float = 300.0
    """Nats per frame for a mean squared strain of one."""
    folding: float = 10_000.0
    """Nats per frame for a mean squared shortfall of the volume change of one."""
    conservation: float = 60.0
    """Nats per frame for a mean squared change of occupancy of one."""
    mass_changes: bool = True
    """Density may appear and vanish. Not where poses are unsure: density that fades stands in for their
    errors."""
    solves: int = 3
    """Conjugate gradient steps of the density at the end; 0 leaves it at the last stage's resolution."""
    more_solves: int = 2
    """And with the movies that were left out."""
    poses: PoseKind = "given"
    """`refine`: refine them with the states, but for their mean change at each state. `estimate`: refine them
    in the frame of reference in which the molecule moves least, and search for lost frames."""


@dataclass(frozen=True)
class Deformed:
    """What was found."""

    generator: DeformableGenerator
    states: RefinedStates
    relaxation_time: Float[Tensor, " latent"]
    """In usual frame intervals."""
    poses: Poses
    """Of all frames: those of the store, or refined from them."""


def passes(options: DeformationOptions, some_left_out: bool) -> int:
    """How often `fit_deformation` advances: once for each pass over the frames."""
    # Conjugate gradients take a pass before their first step.
    more = [options.solves, options.more_solves] if some_left_out else []
    solving = [steps + 1 for steps in [options.solves, *more] if steps]
    return sum(stage.passes for stage in options.stages) + sum(solving)


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
    `left_out`; `judge` sees that fit. Then the density is solved for with all.

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
        found, first, records = _taken_up(found, folder)
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
        climb = _Climb(fitted, found.generator, z, density, volume, options, random, count)
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
            _save(found, folder, index + 1, records)
    z, generator = found.states.mean, found.generator

    def solve(of: FrameStore, told: Tensor, states: Tensor, where: Tensor, start: Tensor, steps: int) -> None:
        density = CanonicalDensity(where, where.shape[-1], store.lattice.radius, told, signal_power)
        solve_density(of, generator, density, density.start(start), states, steps, advance)

    if options.solves:
        # A noisy density would be judged by its noise.
        solve(fitted, information, z[rows], support, volume, options.solves)
        if left_out:
            support = without_negative_parts(
                generator,
                support,
                lambda where: solve(fitted, information, z[rows], where, volume, options.solves),
                lambda: misfit_of_movies(left_out, store, generator, z),
                lambda: advance(options.solves + 1, ""),
            )
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
    at_rest = options.poses == "estimate" and index < len(options.stages) - _LAST_STAGES
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


def _save(found: Deformed, folder: Path, stages: int, records: list[dict[str, Any]]) -> None:
    tensors = {f"generator.{name}": value for name, value in found.generator.state_dict().items()}
    tensors |= {"mean": found.states.mean, "covariance": found.states.covariance}
    tensors["relaxation_time"] = found.relaxation_time
    tensors |= {"rotation": found.poses.rotation, "translation": found.poses.translation_in_pixels}
    facts = {"generator": found.generator.describe(), "stages": stages, "records": records}
    save_checkpoint(folder, CHECKPOINT, tensors, facts)


def _taken_up(fresh: Deformed, folder: Path) -> tuple[Deformed, int, list[dict[str, Any]]]:
    tensors, facts = load_checkpoint(folder, CHECKPOINT)
    with taking_up(folder, CHECKPOINT):
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


class _Climb:
    """Passes at one resolution, the states held."""

    def __init__(
        self,
        store: FrameStore,
        generator: DeformableGenerator,
        z: Float[Tensor, "frames latent"],
        density: CanonicalDensity,
        volume: Float[Tensor, "n n n"],
        options: DeformationOptions,
        random: torch.Generator,
        count: int,
    ) -> None:
        self.store, self.density, self.options, self.random = store, density, options, random
        self.generator, self.z, self.count = generator, z, count
        self.generator.place(density.points, density.width_in_pixels)
        self.pairs = neighbours(density.points, density.spacing_in_pixels)
        self.unknowns = density.start(volume).requires_grad_()
        self.generator.occupancy_field.requires_grad_(options.mass_changes)
        self.fields = [x for x in self.generator.parameters() if x.requires_grad]
        self.of_fields = torch.optim.Adam(self.fields, betas=(0.9, 0.99))
        self.of_density = torch.optim.SGD([self.unknowns], lr=0.0, momentum=_MOMENTUM)

    def run(self, share: float) -> dict[str, float]:
        """One pass, with that share of the rates; the terms of the objective, in nats per frame."""
        self.of_fields.param_groups[0]["lr"] = self.options.field_rate * share
        self.of_density.param_groups[0]["lr"] = self.options.density_rate * (1 - _MOMENTUM) * share
        totals = dict.fromkeys(TERMS, 0.0)
        for batch in self.store.epoch(self.options.frames_per_batch, self.random, self.count):
            for name, value in zip(TERMS, self._step(batch), strict=True):
                totals[name] += value * len(batch.rows)
        self.generator.amplitude = self.density.amplitude(self.unknowns.detach())
        return {name: total / len(self.store) for name, total in totals.items()}

    def _step(self, batch: MovieBatch) -> tuple[float, ...]:
        """One update; the value of each of TERMS before it."""
        processes = self.store.processes
        self.generator.amplitude = self.density.amplitude(self.unknowns)
        z = self.z[batch.rows.to(self.z.device)]
        data = self._misfit(processes.share(batch.rows))
        chosen = torch.randperm(len(z), generator=self.random)[:_STATES_IN_PRIOR].to(z.device)
        strained = self.options.rigidity * strain(self.generator, z[chosen], self.pairs, self.random)
        folded = self.options.folding * folding(self.generator, z[chosen], self.random)
        changed = self.options.conservation * self.generator.occupancy_changes(z[chosen]).square().mean()
        prior = self.density.prior_energy(self.unknowns)
        # Each process computes the whole of the priors, and counts its part of them.
        priors = (strained + folded + changed) * len(self.store) + prior
        loss = data / len(z) * len(self.store) + priors / processes.count
        self.of_fields.zero_grad()
        self.of_density.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        processes.sum_gradients([*self.fields, self.unknowns])
        total, seen = processes.summed(torch.stack((loss, data)).detach())
        require_finite(float(total), "the likelihood of the deformation", _REMEDY)
        self.of_fields.step()
        self.of_density.step()
        terms = (seen / len(z), strained, folded, changed, prior / len(self.store))
        return tuple(float(term.detach()) for term in terms)

    def _misfit(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """Negative log likelihood of frames."""
        if not len(rows):
            return self.unknowns.new_zeros(())
        lattice, count = self.store.lattice, self.count
        frames = self.store.frames(rows, count)
        z = self.z[rows.to(self.z.device)]
        slices = self.generator.slices(z, frames.rotation, lattice.frequency[:count])
        residual = frames.coefficients - frames.transfer * slices
        return 0.5 * (residual.abs().square() * lattice.multiplicity[:count]).sum()

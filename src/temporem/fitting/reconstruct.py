"""The main job: movies in, a run folder out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from temporem.errors import UserError
from temporem.fitting.anchors import Anchored
from temporem.fitting.answering import facts_of, first_movies, keep_first_poses, write_answer, write_poses
from temporem.fitting.consensus import Consensus, find_consensus
from temporem.fitting.deformable import deform, deformation_facts
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.choosing import Judgement, judge
from temporem.fitting.linear import LinearStates, find_states, find_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.overdispersion import deviations, of_generator, of_subspace, tempered
from temporem.fitting.pose_network.inferring import infer_poses
from temporem.fitting.poses.settling import (
    bring_to_rest,
    changes_with_motion,
    settle_poses,
    with_poses,
    without_poses,
)
from temporem.fitting.processes import ALONE, Processes
from temporem.fitting.run_description import asked_of, describe_run
from temporem.fitting.stages import are_begun, posterior_of, stage_seed, stages_of, train_stages
from temporem.fitting.warm_start import Start, facts_found
from temporem.model.devices import choose_device, describe_device
from temporem.movies.description import summarise
from temporem.movies.digest import digest_of
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames, PreprocessingOptions, prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies, require_poses
from temporem.progress import console, progress
from temporem.reconstruction.run import Run

__all__ = ["reconstruct"]

UNSCORED_DIMENSION = 4
"""Latent dimension with auto, where movies are too few to hold some out."""
WITH_MOTION = "with_motion"
"""Among a run's facts on its poses: how far the fit of the motion moved them."""
LARGE_BOX, HANDY_BOX = 160, 128
"""Above the first a person is told that the second would do."""


def reconstruct(
    path: Path,
    output: Path,
    reading: ReadingOptions,
    preprocessing: PreprocessingOptions,
    fitting: FittingOptions,
    resume: bool = False,
    first_answer: Callable[[Run], object] | None = None,
    processes: Processes = ALONE,
) -> Run:
    """Fit a method to movies, at the poses that `fitting.poses` asks for, and leave everything found in the
    folder `output`.

    `linear` fits the linear state-space method, in seconds. `tempor` shows that answer first: the folder then
    holds a whole run, of which `first_answer` is told, and which the networks' own replaces in the end.
    It goes on to fit its no-time baseline, then copies the shared parts and fine-tunes the temporal model
    (paper, Sec. 4.2); each gets half of the epochs. With the deformable generator the motion of one density
    is fitted instead, from the linear answer, and no network. `cryodrgn` is that baseline with all of them,
    and `hetem` the same with poses inferred; see `infer_poses`.
    `resume` goes on with a run that was interrupted, to the same result as if it had not been; the linear
    method has no checkpoints and is computed anew. Of several `processes` each calls this with an `output` of
    its own, and finds the same.

    Raises UserError for what is wrong with the movies, the options or the folder.
    """
    fitting.check()
    device = processes.device or choose_device(fitting.device)
    given = read_movies(path, reading)
    if fitting.needs_poses:
        require_poses(given)
    elif fitting.poses == "given":
        passed_over = given.provenance | {"poses": "passed over, for a network to infer"}
        given = replace(given, rotation=None, translation_in_angstroms=None, provenance=passed_over)
    asked = asked_of(path, reading, preprocessing) | {"fitting": fitting.asked()}
    begun: Run | None = None
    if resume:
        begun = _open(output, asked)
        _check_unchanged(begun, given)
    else:
        Run.check_free(output)
    together = f", in each of {processes.count} processes" if processes.count > 1 else ""
    console.print(f"Computing on {describe_device(device)}{together}")
    _suggest_cropping(given, preprocessing)
    with progress("Preparing images", len(given)) as advance:
        prepared = prepare_frames(given, preprocessing, advance)
    console.print(summarise(given, prepared), highlight=False, markup=False, soft_wrap=True)
    movies, poses = _settle_poses(begun, given, prepared, fitting)
    if begun is None and fitting.poses != "given":
        # A search is too long to be lost to what comes after it.
        begun = Run.create(output, asked)
        write_poses(begun, movies)
        begun.update_config(poses=poses)
        movies = first_movies(begun)
    if begun is not None and poses.get("at_rest") is False:
        movies, poses = bring_to_rest(movies, prepared, poses, stage_seed(fitting.seed, "rest"))
        write_poses(begun, movies)
        begun.update_config(poses=poses)
        # As a run that is taken up again reads them.
        movies = first_movies(begun)
    if len(movies) < 2 * processes.count:
        raise UserError(
            f"{path} has {len(movies)} frames, too few to share out among {processes.count} processes: give"
            " fewer --devices."
        )
    if fitting.poses != "given":
        movies = _agreed(movies, processes)
    store = FrameStore(movies, prepared, device, processes)
    if fitting.infers_poses:
        run = begun or Run.create(output, asked)
        describe_run(run, given, prepared, device, store)
        infer_poses(run, movies, prepared, store, fitting)
        return run
    # What is wrong with poses, sign or CTF shows here; only then is there a run.
    consensus = find_consensus(store)
    run = begun or Run.create(output, asked)
    write_poses(run, movies)
    run.update_config(poses=poses)
    describe_run(run, given, prepared, device, store)
    run.write_consensus(consensus.volume.cpu() * prepared.image_scale)
    run.write_mask(consensus.mask.cpu())
    stages, networks_begun = stages_of(fitting), are_begun(run, fitting)
    judged = None if networks_begun else _judge(run, store, consensus, fitting)
    fitting = replace(fitting, latent_dim=run.config["latent_dim"])
    if fitting.method != "cryodrgn" and not networks_begun:
        linear = _answer_linearly(run, movies, store, consensus, fitting)
        if (stages or fitting.deforms) and first_answer is not None:
            first_answer(run)
        if judged is not None:
            _score_volumes(run, judged, consensus, linear[1], fitting)
        if fitting.deforms:
            _deform(run, movies, store, consensus, fitting, *linear)
    if not stages:
        return run
    _finish(run, train_stages(run, store, consensus, fitting), movies, store, fitting)
    return run


def _settle_poses(
    begun: Run | None,
    movies: MovieSet,
    prepared: PreparedFrames,
    fitting: FittingOptions,
) -> tuple[MovieSet, dict[str, Any]]:
    """The movies at the poses to go on with, and what is said of these; a run once begun keeps its own."""
    if fitting.poses == "given" and not fitting.needs_poses:
        return without_poses(movies), {"kind": "given"}
    if begun is not None and "poses" in begun.config:
        facts = {name: x for name, x in begun.config["poses"].items() if name != WITH_MOTION}
        return (movies if fitting.poses == "given" else first_movies(begun)), facts
    return settle_poses(movies, prepared, fitting.poses, stage_seed(fitting.seed, "poses"))


def _agreed(movies: MovieSet, processes: Processes) -> MovieSet:
    """At the first process's poses: each has found them, and another machine might round otherwise."""
    rotation, translation = (
        processes.of_first(torch.tensor(np.asarray(x))).numpy()
        for x in (movies.rotation, movies.translation_in_angstroms)
    )
    return replace(movies, rotation=rotation, translation_in_angstroms=translation)


def _judge(run: Run, store: FrameStore, consensus: Consensus, fitting: FittingOptions) -> Judgement | None:
    """Say whether anything moves, and settle the latent dimension."""
    judged = judge(store, consensus.volume, stage_seed(fitting.seed, "held out"))
    facts = {} if judged is None else judged.facts
    chosen = fitting.latent_dim
    if chosen == "auto":
        best = UNSCORED_DIMENSION if judged is None else judged.scores.best
        chosen = int(store.processes.of_first(torch.tensor(best)))
    run.update_config(latent_dim=chosen, held_out=facts)
    for name in ("motion", "time"):
        if facts.get(name):
            console.print(facts[name], highlight=False, soft_wrap=True)
    return judged


def _score_volumes(
    run: Run, judged: Judgement, consensus: Consensus, anchored: Anchored, fitting: FittingOptions
) -> None:
    facts = judged.volumes(fitting.dimensions, consensus, anchored, fitting.seed)
    if facts:
        run.update_config(held_out=run.config["held_out"] | {"of_volumes": facts})
        console.print(facts["volumes"], highlight=False, soft_wrap=True)


def _open(output: Path, asked: dict[str, Any]) -> Run:
    run = Run.open(output)
    for name, value in asked.items():
        was = run.configured(name)
        if isinstance(value, dict):
            then = was if isinstance(was, dict) else {}
            different = [f"--{key.replace('_', '-')}" for key in value if then.get(key) != value[key]]
        else:
            different = [] if was == value else ["the movies"]
        if different:
            what = ", ".join(different)
            raise UserError(
                f"{output} was begun with another choice of {what}: repeat the command as it was, with"
                " --resume."
            )
    return run


def _check_unchanged(run: Run, movies: MovieSet) -> None:
    """Raise UserError where the movies are not those that the run was begun with."""
    config = run.config
    remedy = "put the movies back as they were, or start a run in a new folder."
    for name, now in (("frames", len(movies)), ("movies", len(movies.movie_ids))):
        if config.get(name, now) != now:
            raise UserError(
                f"{run.path} was begun with {config[name]} {name}, but there are {now} now: {remedy}"
            )
    digest = digest_of(movies)
    if config.get("input_digest", digest) != digest:
        raise UserError(
            f"the images, times, poses or CTFs of {config['input']} have changed since {run.path} was begun:"
            f" {remedy}"
        )


def _suggest_cropping(movies: MovieSet, preprocessing: PreprocessingOptions) -> None:
    box = movies.images.box_size
    if preprocessing.box is None and box > LARGE_BOX:
        resolution = 2 * movies.pixel_size_in_angstroms * box / HANDY_BOX
        console.print(
            f"The whole box of {box} pixels is fitted; with --box {HANDY_BOX} it would take less time and"
            f" memory, and {resolution:.1f} Å would be the finest resolution.",
            soft_wrap=True,
        )


def _answer_linearly(
    run: Run, movies: MovieSet, store: FrameStore, consensus: Consensus, fitting: FittingOptions
) -> tuple[LinearStates, Anchored]:
    """The linear method's states and volumes, as a whole run."""
    run.keep_metrics(0)
    generator = torch.Generator().manual_seed(stage_seed(fitting.seed, "linear"))
    states = find_states(
        store, consensus, fitting.dimensions, True, None, True, generator, run.append_metrics
    )
    anchored = find_volumes(store, states, consensus, fitting.seed)
    mean = states.posterior.mean
    factor = of_subspace(states.subspace, store, mean)
    found = facts_found(states, anchored) | {"overdispersion": factor}
    covariance = tempered(states.posterior.covariance, factor)
    write_answer(run, movies, anchored.generator, mean, deviations(covariance), "linear", found, covariance)
    return states, anchored


def _deform(
    run: Run,
    movies: MovieSet,
    store: FrameStore,
    consensus: Consensus,
    fitting: FittingOptions,
    states: LinearStates,
    anchored: Anchored,
) -> None:
    """The motion of one density, from the linear method's answer."""
    seed = stage_seed(fitting.seed, "deformable")
    deformed, choice = deform(
        store,
        states,
        anchored,
        consensus,
        seed,
        run.append_metrics,
        run.checkpoints_path,
        poses=fitting.poses,
    )
    found = deformation_facts(deformed)
    if choice is not None:
        console.print(choice.in_words(), highlight=False, soft_wrap=True)
        found |= choice.facts
        if not choice.taken:
            run.update_config(found=run.config["found"] | {"deformable": found})
            return
    if found["folds"]:
        console.print("The motion found folds the molecule somewhere, which nothing real does.")
    if fitting.poses != "given":
        moved = changes_with_motion(store.poses, deformed.poses, store.pixel_size_in_angstroms)
        console.print(moved["words"], highlight=False, soft_wrap=True)
        movies = with_poses(movies, deformed.poses, store.pixel_size_in_angstroms)
        keep_first_poses(run)
        write_poses(run, movies)
        image_scale = float(run.configured("image_scale"))
        run.write_consensus(find_consensus(store.posed(deformed.poses)).volume.cpu() * image_scale)
        run.update_config(poses=run.config["poses"] | {WITH_MOTION: moved})
    mean = deformed.states.mean
    found["overdispersion"] = of_generator(deformed.generator, store.posed(deformed.poses), mean)
    covariance = tempered(deformed.states.covariance, found["overdispersion"]).cpu()
    sd, mean = deviations(covariance), mean.cpu()
    write_answer(run, movies, deformed.generator, mean, sd, "deformable", found, covariance)


def _finish(run: Run, start: Start, movies: MovieSet, store: FrameStore, fitting: FittingOptions) -> None:
    model = start.model.eval()
    mean, sd = posterior_of(model, store, fitting)
    write_answer(run, movies, model.generator, mean, sd, fitting.method, start.found | facts_of(model))

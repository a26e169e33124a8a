"""The main job: movies in, a run folder out."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem import __version__
from temporem.errors import UserError
from temporem.fitting.anchors import Anchored
from temporem.fitting.checkpoints import has_checkpoint, load_checkpoint, save_checkpoint, taking_up
from temporem.fitting.consensus import Consensus, find_consensus
from temporem.fitting.deformable import MOST_COMPONENTS, deform, deformation_facts
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.choosing import Judgement, judge
from temporem.fitting.linear import LinearStates, find_states, find_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.trainer import Trainer
from temporem.fitting.warm_start import Start, assemble, facts_found, warm_start
from temporem.model.devices import choose_device, describe_device
from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.model.priors import OrnsteinUhlenbeck
from temporem.model.store import build_generator, save_generator
from temporem.movies.description import summarise
from temporem.movies.digest import digest_of
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames, PreprocessingOptions, prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies, require_poses
from temporem.movies.writing import write_poses_star
from temporem.progress import console, progress
from temporem.reconstruction.run import Run

__all__ = ["reconstruct"]

SAMPLES = 32
"""Paths drawn for the marginal standard deviations."""
UNSCORED_DIMENSION = 4
"""Latent dimension with auto, where movies are too few to hold some out."""
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
) -> Run:
    """Fit a method to movies with known poses, and leave everything found in the folder `output`.

    `linear` fits the linear state-space method, in seconds. `tempor` shows that answer first: the folder then
    holds a whole run, of which `first_answer` is told, and which the networks' own replaces in the end.
    It goes on to fit its no-time baseline, then copies the shared parts and fine-tunes the temporal model
    (paper, Sec. 4.2); each gets half of the epochs. With the deformable generator the motion of one density
    is fitted instead, from the linear answer, and no network. `cryodrgn` is that baseline with all of them.
    `resume` goes on with a run that was interrupted, to the same result as if it had not been; the linear
    method has no checkpoints and is computed anew.

    Raises UserError for what is wrong with the movies, the options or the folder.
    """
    fitting.check()
    device = choose_device(fitting.device)
    movies = require_poses(read_movies(path, reading))
    asked = {
        "input": str(path.resolve()),
        "reading": {name: _resolved(value) for name, value in asdict(reading).items()},
        "preprocessing": asdict(preprocessing),
        "fitting": asdict(fitting),
    }
    begun: Run | None = None
    if resume:
        begun = _open(output, asked)
        _check_unchanged(begun, movies)
    else:
        Run.check_free(output)
    console.print(f"Computing on {describe_device(device)}")
    _suggest_cropping(movies, preprocessing)
    with progress("Preparing images", len(movies)) as advance:
        prepared = prepare_frames(movies, preprocessing, advance)
    console.print(summarise(movies, prepared), highlight=False, markup=False, soft_wrap=True)
    store = FrameStore(movies, prepared, device)
    # What is wrong with poses, sign or CTF shows here; only then is there a run.
    consensus = find_consensus(store)
    run = begun or Run.create(output, asked)
    _describe(run, movies, prepared, device, store)
    run.write_consensus(consensus.volume.cpu() * prepared.image_scale)
    run.write_mask(consensus.mask.cpu())
    stages = _stages(fitting)
    networks_begun = any(has_checkpoint(run.checkpoints_path, f"{stage}-start") for stage in stages)
    judged = None if networks_begun else _judge(run, store, consensus, fitting)
    fitting = replace(fitting, latent_dim=run.config["latent_dim"])
    if fitting.method != "cryodrgn" and not networks_begun:
        linear = _answer_linearly(run, movies, store, consensus, fitting)
        if (stages or fitting.deforms) and first_answer is not None:
            first_answer(run)
        if judged is not None:
            _score_volumes(run, judged, consensus, fitting)
        if fitting.deforms:
            _deform(run, movies, store, consensus, fitting, *linear)
    if not stages:
        return run
    start: Start | None = None
    for stage, (temporal, epochs) in stages.items():
        if any(has_checkpoint(run.checkpoints_path, f"{later}-start") for later in _after(stage, stages)):
            continue
        seed = _seed(fitting.seed, stage)
        before = None if start is None else start.model
        start = _started(run, store, consensus, fitting, before, stage, temporal, seed)
        _train(run, start.model, store, fitting, stage, epochs, seed)
    if start is None:
        raise UserError(f"{run.path} has no model to go on with: delete the folder and start anew.")
    _finish(run, start, movies, store, fitting)
    return run


def _judge(run: Run, store: FrameStore, consensus: Consensus, fitting: FittingOptions) -> Judgement | None:
    """Say whether anything moves, and settle the latent dimension."""
    judged = judge(store, consensus.volume, _seed(fitting.seed, "held out"))
    facts = {} if judged is None else judged.facts
    chosen = fitting.latent_dim
    if chosen == "auto":
        chosen = UNSCORED_DIMENSION if judged is None else judged.scores.best
    run.update_config(latent_dim=chosen, held_out=facts)
    for name in ("motion", "time"):
        if facts.get(name):
            console.print(facts[name], highlight=False, soft_wrap=True)
    return judged


def _score_volumes(run: Run, judged: Judgement, consensus: Consensus, fitting: FittingOptions) -> None:
    facts = judged.volumes(fitting.dimensions, consensus, fitting.seed)
    if facts:
        run.update_config(held_out=run.config["held_out"] | {"of_volumes": facts})
        console.print(facts["volumes"], highlight=False, soft_wrap=True)


def _stages(fitting: FittingOptions) -> dict[str, tuple[bool, int]]:
    """Trainings of networks: name → (temporal, epochs)."""
    if fitting.method == "linear" or fitting.deforms:
        return {}
    if fitting.method == "cryodrgn":
        return {"baseline": (False, fitting.epochs)}
    if not fitting.pretraining:
        return {"temporal": (True, fitting.epochs)}
    first = fitting.epochs // 2
    return {"baseline": (False, first), "temporal": (True, fitting.epochs - first)}


def _after(stage: str, stages: dict[str, tuple[bool, int]]) -> list[str]:
    names = list(stages)
    return names[names.index(stage) + 1 :]


def _seed(seed: int, stage: str) -> int:
    """A seed of its own for each stage, so that resuming needs no random state from before it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {stage}".encode()).digest()[:6])


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


def _resolved(value: Any) -> Any:
    """A path as text that means the same from every folder; anything else as it is."""
    return str(value.resolve()) if isinstance(value, Path) else value


def _describe(
    run: Run, movies: MovieSet, prepared: PreparedFrames, device: torch.device, store: FrameStore
) -> None:
    # A resumed run keeps the command that began it.
    command = run.config.get("command", sys.argv)
    run.update_config(
        temporem_version=__version__,
        command=command,
        device=describe_device(device),
        pixel_size_in_angstroms=prepared.pixel_size_in_angstroms,
        box_size=prepared.box_size,
        image_scale=prepared.image_scale,
        sign=prepared.sign,
        sign_note=prepared.sign_note,
        noise_variance=prepared.noise_variance.tolist(),
        frames=len(movies),
        movies=len(movies.movie_ids),
        input_digest=digest_of(movies),
        time_unit=movies.time_unit,
        usual_interval=store.usual_interval,
        provenance=movies.provenance,
    )


def _started(
    run: Run,
    store: FrameStore,
    consensus: Consensus,
    fitting: FittingOptions,
    before: DynamicalModel | None,
    stage: str,
    temporal: bool,
    seed: int,
) -> Start:
    """The model at the start of a stage, from its checkpoint where there is one."""
    name = f"{stage}-start"
    if has_checkpoint(run.checkpoints_path, name):
        tensors, facts = load_checkpoint(run.checkpoints_path, name)
        with taking_up(run.checkpoints_path, name):
            model = assemble(store, fitting, temporal, build_generator(facts["generator"]))
            model.load_state_dict(tensors)
            return Start(model.to(store.device), facts["found"])
    generator = torch.Generator().manual_seed(seed)
    start = warm_start(store, consensus, fitting, before, temporal, generator)
    facts = {"generator": start.model.generator.describe(), "found": start.found}
    save_checkpoint(run.checkpoints_path, name, start.model.state_dict(), facts)
    return start


def _train(
    run: Run,
    model: DynamicalModel,
    store: FrameStore,
    fitting: FittingOptions,
    stage: str,
    epochs: int,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed + 1)
    trainer = Trainer(model, store, fitting, epochs, stage, run.checkpoints_path, generator)
    run.keep_metrics(sum(record.get("stage") != stage for record in run.metrics()))
    with progress(f"Training, {stage}", epochs) as advance:
        trainer.run(run.append_metrics, advance)


def _answer_linearly(
    run: Run, movies: MovieSet, store: FrameStore, consensus: Consensus, fitting: FittingOptions
) -> tuple[LinearStates, Anchored]:
    """The linear method's states and volumes, as a whole run."""
    run.keep_metrics(0)
    generator = torch.Generator().manual_seed(_seed(fitting.seed, "linear"))
    states = find_states(
        store, consensus, fitting.dimensions, True, None, False, generator, run.append_metrics
    )
    anchored = find_volumes(store, states, consensus, fitting.seed)
    variance = states.posterior.covariance.diagonal(dim1=-2, dim2=-1)
    found = facts_found(states, anchored)
    sd, covariance = variance.sqrt(), states.posterior.covariance
    _write(run, movies, anchored.generator, states.posterior.mean, sd, "linear", found, covariance)
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
    seed = _seed(fitting.seed, "deformable")
    components = states.posterior.mean.shape[-1]
    if _asked_for_auto(run):
        components = min(components, MOST_COMPONENTS)
    deformed, choice = deform(store, states, anchored, consensus, components, seed, run.checkpoints_path)
    sd = deformed.states.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    found = deformation_facts(deformed)
    if choice is not None:
        console.print(choice.in_words(), highlight=False, soft_wrap=True)
        found |= choice.facts
        if not choice.deformable:
            run.update_config(found=run.config["found"] | {"deformable": found})
            return
    if found["folds"]:
        console.print("The motion found folds the molecule somewhere, which nothing real does.")
    mean, covariance = deformed.states.mean.cpu(), deformed.states.covariance.cpu()
    _write(run, movies, deformed.generator, mean, sd.cpu(), "deformable", found, covariance)


def _asked_for_auto(run: Run) -> bool:
    return bool(run.configured("fitting")["latent_dim"] == "auto")


def _finish(run: Run, start: Start, movies: MovieSet, store: FrameStore, fitting: FittingOptions) -> None:
    model, found = start.model.eval(), start.found
    mean, sd = _posterior(model, store, fitting)
    if isinstance(model.prior, OrnsteinUhlenbeck):
        found = found | {"relaxation_times": model.prior.log_relaxation_time.exp().tolist()}
    _write(run, movies, model.generator, mean, sd, fitting.method, found)


def _write(
    run: Run,
    movies: MovieSet,
    generator: Generator,
    mean: Float[Tensor, "frames latent"],
    sd: Float[Tensor, "frames latent"],
    answer_of: str,
    found: dict[str, Any],
    covariance: Float[Tensor, "frames latent latent"] | None = None,
) -> None:
    """Write what a run is asked for: the generator, the latents, the poses, and whose answer this is."""
    save_generator(run.model_path, generator)
    run.write_latents(movies, mean, sd, covariance)
    if movies.rotation is None or movies.translation_in_angstroms is None:
        raise UserError(f"the movies in {run.path} have no poses: give them with --poses.")
    write_poses_star(run.poses_path, movies, movies.rotation, movies.translation_in_angstroms)
    run.update_config(answer_of=answer_of, found=found, latent_dim=mean.shape[-1])


def _posterior(
    model: DynamicalModel, store: FrameStore, fitting: FittingOptions
) -> tuple[Float[Tensor, "frames latent"], Float[Tensor, "frames latent"]]:
    mean, sd = (torch.zeros(len(store), fitting.dimensions) for _ in range(2))
    generator = torch.Generator().manual_seed(fitting.seed)
    for batch in store.epoch(1024):
        found = model.posterior(store.frames(batch.rows), batch, store.lattice, SAMPLES, generator)
        mean[batch.rows], sd[batch.rows] = (x.cpu() for x in found)
    return mean, sd

"""The trainings of networks, one after another, each with checkpoints of its own."""

import hashlib
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting.checkpoints import has_checkpoint, load_checkpoint, save_checkpoint, taking_up
from temporem.fitting.consensus import Consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.options import FittingOptions
from temporem.fitting.pose_network.pose_trainer import PoseTrainer
from temporem.fitting.pose_network.starting import PASSES, teach_poses
from temporem.fitting.trainer import Trainer
from temporem.fitting.unseen_movies import set_aside
from temporem.fitting.warm_start import Start, assemble, warm_start
from temporem.model.methods import DynamicalModel
from temporem.model.store import build_generator
from temporem.progress import console, progress
from temporem.reconstruction.run import Run

__all__ = ["ImagesOnly", "are_begun", "posterior_of", "stage_seed", "stages_of", "train_stages"]

SAMPLES = 32
"""Paths drawn for the marginal standard deviations."""


@dataclass(frozen=True, eq=False)
class ImagesOnly:
    """What a training without known poses has beside the frames."""

    noise_sd: float
    """Of the noise in whitened coefficients, as the window leaves it."""
    rotation: Float[Tensor, "frames 3 3"] | None
    """Where to start from; None for nothing."""
    translation_in_pixels: Float[Tensor, "frames 2"] | None


def stages_of(fitting: FittingOptions) -> dict[str, tuple[bool, int]]:
    """Trainings of networks: name → (temporal, epochs)."""
    if fitting.method == "linear" or fitting.deforms:
        return {}
    first = "hetem" if fitting.infers_poses else "baseline"
    if fitting.method in ("cryodrgn", "hetem"):
        return {first: (False, fitting.epochs)}
    if not fitting.pretraining:
        return {"temporal": (True, fitting.epochs)}
    before = fitting.epochs // 2
    return {first: (False, before), "temporal": (True, fitting.epochs - before)}


def are_begun(run: Run, fitting: FittingOptions) -> bool:
    """Whether any training of networks has."""
    return any(has_checkpoint(run.checkpoints_path, f"{stage}-start") for stage in stages_of(fitting))


def stage_seed(seed: int, stage: str) -> int:
    """A seed of its own for each stage, so that resuming needs no random state from before it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {stage}".encode()).digest()[:6])


def train_stages(
    run: Run,
    store: FrameStore,
    consensus: Consensus,
    fitting: FittingOptions,
    images_only: ImagesOnly | None = None,
) -> Start:
    """Train every stage that is not done yet; return the last one's model.

    With `images_only` the store's frames are as they are, neither turned nor centred, and poses are inferred.

    Raises UserError where no model is there to go on with.
    """
    stages = stages_of(fitting)
    start: Start | None = None
    for stage, (temporal, epochs) in stages.items():
        if any(has_checkpoint(run.checkpoints_path, f"{later}-start") for later in _after(stage, stages)):
            continue
        seed = stage_seed(fitting.seed, stage)
        before = None if start is None else start.model
        start = _started(run, store, consensus, fitting, before, stage, temporal, seed, images_only)
        generator = torch.Generator().manual_seed(seed + 1)
        of_stage = (fitting, epochs, stage, run.checkpoints_path, generator)
        if images_only is None:
            seen, unseen = set_aside(store, consensus.volume)
            trainer = Trainer(start.model, seen, *of_stage, unseen)
            _train(run, trainer, stage, epochs)
            kept = trainer.kept()
            start = replace(start, found=start.found | {"training": kept})
            if kept:
                console.print(kept["words"], highlight=False, soft_wrap=True)
        else:
            from_nothing = images_only.rotation is None and stage == next(iter(stages))
            poses = PoseTrainer(start.model, store, *of_stage, images_only.noise_sd, from_nothing)
            _train(run, poses, stage, epochs)
    if start is None:
        raise UserError(f"{run.path} has no model to go on with: delete the folder and start anew.")
    return start


def posterior_of(
    model: DynamicalModel, store: FrameStore, fitting: FittingOptions
) -> tuple[Float[Tensor, "frames latent"], Float[Tensor, "frames latent"]]:
    """Mean and marginal standard deviation of every frame's state."""
    mean, sd = (torch.zeros(len(store), fitting.dimensions) for _ in range(2))
    generator = torch.Generator().manual_seed(fitting.seed)
    for batch in store.epoch(1024):
        found = model.posterior(store.frames(batch.rows), batch, store.lattice, SAMPLES, generator)
        mean[batch.rows], sd[batch.rows] = (x.cpu() for x in found)
    return mean, sd


def _after(stage: str, stages: dict[str, tuple[bool, int]]) -> list[str]:
    names = list(stages)
    return names[names.index(stage) + 1 :]


def _started(
    run: Run,
    store: FrameStore,
    consensus: Consensus,
    fitting: FittingOptions,
    before: DynamicalModel | None,
    stage: str,
    temporal: bool,
    seed: int,
    images_only: ImagesOnly | None,
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
    if images_only is not None and before is None:
        _start_from_poses(start.model, store, images_only, generator)
    facts = {"generator": start.model.generator.describe(), "found": start.found}
    save_checkpoint(run.checkpoints_path, name, start.model.state_dict(), facts)
    return start


def _start_from_poses(
    model: DynamicalModel, store: FrameStore, images_only: ImagesOnly, generator: torch.Generator
) -> None:
    rotation, translation = images_only.rotation, images_only.translation_in_pixels
    if rotation is None or translation is None:
        return
    with progress("Poses to start from", PASSES) as advance:
        teach_poses(model, store, rotation, translation, generator, advance)


def _train(run: Run, trainer: Trainer, stage: str, epochs: int) -> None:
    run.keep_metrics(sum(record.get("stage") != stage for record in run.metrics()))
    with progress(f"Training, {stage}", epochs) as advance:
        trainer.run(run.append_metrics, advance)

"""Climb the ELBO by Adam, epoch by epoch, with checkpoints to go on from as if there had been no stop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from temporem.fitting.checkpoints import has_checkpoint, load_checkpoint, save_checkpoint, taking_up
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.verdict import score_facts
from temporem.fitting.objective import Bound, elbo
from temporem.fitting.options import FittingOptions
from temporem.fitting.stability import require_finite, stable
from temporem.fitting.unseen_movies import Unseen
from temporem.model.batches import MovieBatch
from temporem.model.methods import DynamicalModel

__all__ = ["Trainer"]

LARGEST_GRADIENT = 10.0
"""Norm at which the gradient of the loss per frame is clipped."""
POINTS_PER_STEP = 2**18
"""Coefficients of all frames in a step, at most: the generator keeps some 8 kB of each until the gradient."""
ENCODER_RATE = 0.3
"""Learning rate of encoder and prior relative to the generator's: they start near their answer."""


@dataclass(frozen=True, eq=False)
class Best:
    """The epoch that foretells unseen movies best so far; 0 is the start."""

    epoch: int
    nats: Float[Tensor, " frames"]
    weights: dict[str, Tensor]


class Trainer:
    """One stage of training: a model, its optimiser, schedule and random numbers."""

    def __init__(
        self,
        model: DynamicalModel,
        store: FrameStore,
        options: FittingOptions,
        epochs: int,
        stage: str,
        folder: Path,
        generator: torch.Generator,
        unseen: Unseen | None = None,
    ) -> None:
        self.model, self.store, self.options, self.unseen = model, store, options, unseen
        self.epochs, self.stage, self.folder, self.generator = epochs, stage, folder, generator
        self.processes = store.processes
        self.processes.align(model)
        self.epoch = 0
        self.best: Best | None = None
        self.at_start = torch.zeros(0)
        self.records: list[dict[str, Any]] = []
        groups = [
            {"params": _trained(model.generator), "lr": options.learning_rate},
            {
                "params": [*_trained(model.features), *_trained(model.encoder), *_trained(model.prior)],
                "lr": options.learning_rate * ENCODER_RATE,
            },
        ]
        if model.poses is not None:
            # From nothing: features and poses learn as fast as the volume does.
            groups[1]["lr"] = options.learning_rate
            groups.append({"params": _trained(model.poses), "lr": options.learning_rate})
        self.optimiser = torch.optim.Adam([group for group in groups if group["params"]])
        self.steps = epochs * len(store.batches(options.frames_per_batch))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: _half_cosine(step / self.steps)
        )

    def run(self, record: Callable[[dict[str, Any]], None], advance: Callable[[int, str], None]) -> None:
        """Train to the last epoch, from the checkpoint of this stage where there is one.

        With `unseen` movies the weights of the epoch that foretells them best are kept. All epochs are
        trained in any case: arms that are compared must have as many updates. `record` gets the loss terms of
        each epoch, those of a resumed run's earlier epochs again.

        Raises UserError at a loss or gradient that is not finite; the last good epoch is then saved.
        """
        if has_checkpoint(self.folder, self.stage):
            self._restore()
            for old in self.records:
                record(old)
            advance(len(self.records), "")
        elif self.unseen is not None:
            self.at_start = self.processes.of_first(self.unseen.nats(self.model))
            self.best = Best(0, self.at_start, _copied(self.model))
        while self.epoch < self.epochs:
            began = time.monotonic()
            with stable(f"the loss{self._where()}", self._remedy()):
                terms = self._train_epoch()
            self.epoch += 1
            terms |= {"stage": self.stage, "epoch": self.epoch, "seconds": time.monotonic() - began}
            terms |= self._judged()
            self.records.append(terms)
            self._save()
            record(terms)
            advance(1, f"loss {terms['loss']:.1f}, KL {terms['kl']:.2f}")
        if self.best is not None:
            self.model.load_state_dict(self.best.weights, strict=False)

    def kept(self) -> dict[str, Any]:
        """Which epoch's weights, of how many, and how much better than the start they foretell movies that
        the training has not seen; empty where there were none."""
        if self.best is None or self.unseen is None:
            return {}
        score = self.unseen.score(self.best.nats - self.at_start)
        chose = f"Movies kept from the training ({self.stage}) chose among its {self.epoch} epochs:"
        if self.best.epoch:
            words = f"{chose} number {self.best.epoch} foretells them best, better than the start by {score}."
        else:
            words = f"{chose} none foretells them better than the start, which is kept."
        kept = {"epoch_kept": self.best.epoch, "words": words}
        return kept | score_facts(score)

    def _judged(self) -> dict[str, float]:
        if self.unseen is None or self.best is None:
            return {}
        nats = self.processes.of_first(self.unseen.nats(self.model))
        if nats.mean() > self.best.nats.mean():
            self.best = Best(self.epoch, nats, _copied(self.model))
        return {"foretold": float((nats - self.at_start).mean())}

    def _train_epoch(self) -> dict[str, Any]:
        totals = torch.zeros(2, dtype=torch.float64)
        self.model.train()
        for batch in self.store.epoch(self.options.frames_per_batch, self.generator):
            bound, lesson = self.step(batch)
            loss = (self.options.beta * bound.divergence - bound.log_likelihood) / len(batch.rows) + lesson
            seen = torch.stack((loss, bound.log_likelihood, bound.divergence)).detach()
            loss_of_all, log_likelihood, divergence = self.processes.summed(seen)
            require_finite(float(loss_of_all), f"the loss{self._where()}", self._remedy())
            self.optimiser.zero_grad()
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            self.processes.sum_gradients(_trained(self.model))
            norm = torch.nn.utils.clip_grad_norm_(_trained(self.model), LARGEST_GRADIENT)
            # A step along such a gradient would spoil the weights, and be saved before the loss shows it.
            require_finite(float(norm), f"the gradient{self._where()}", self._remedy())
            self.optimiser.step()
            self.schedule.step()
            totals += torch.stack((-log_likelihood, divergence)).cpu()
        reconstruction, divergence = (totals / len(self.store)).tolist()
        return {
            "loss": reconstruction + self.options.beta * divergence,
            "reconstruction": reconstruction,
            "kl": divergence,
        }

    def step(self, batch: MovieBatch) -> tuple[Bound, Tensor]:
        """The bound of this process's share of a batch, and what is learned besides, per frame in nats."""
        chosen = self.choose_coefficients(len(batch.rows), len(self.store.lattice))
        noise = self.draw_noise(*batch.mask.shape, self.options.dimensions)
        mine, none = self.processes.share_of(batch), torch.zeros((), device=noise.device)
        if not len(mine.rows):
            return Bound(none, none), none
        frames = self.store.frames(mine.rows)
        return elbo(self.model, frames, mine, self.store.lattice, chosen, self.processes.share(noise)), none

    def draw_noise(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, generator=self.generator).to(self.store.device)

    def choose_coefficients(self, frames: int, count: int, least: int = 1) -> Tensor:
        """Some of the first `count` coefficients, `least` of them or more, as many as a step may look at."""
        # A movie is never divided: of a long one in a large box, a step looks at fewer coefficients.
        most = POINTS_PER_STEP // frames
        wanted = max(1, min(most, max(least, round(self.options.coefficients_per_step * count))))
        chosen = torch.randperm(count, generator=self.generator)[:wanted]
        return chosen.sort().values.to(self.store.device)

    def _where(self) -> str:
        return f" in epoch {self.epoch + 1} of the stage {self.stage!r}"

    def _remedy(self) -> str:
        return (
            f"the state after epoch {self.epoch} is saved in {self.folder}; start a run in a new folder with"
            " a smaller --learning-rate"
        )

    def _save(self) -> None:
        tensors = {f"model.{name}": value for name, value in _changing_state(self.model).items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors["generator"] = self.generator.get_state()
        if self.best is not None:
            tensors |= {f"best.{name}": value for name, value in self.best.weights.items()}
            tensors |= {"best_nats": self.best.nats, "nats_at_start": self.at_start.clone()}
        facts = {
            "epoch": self.epoch,
            "best": None if self.best is None else self.best.epoch,
            "records": self.records,
            "groups": [
                {key: value for key, value in group.items() if key != "params"}
                for group in self.optimiser.param_groups
            ],
            "schedule": {key: value for key, value in self.schedule.state_dict().items() if _is_plain(value)},
        }
        save_checkpoint(self.folder, self.stage, tensors, facts)

    def _restore(self) -> None:
        tensors, facts = load_checkpoint(self.folder, self.stage)
        with taking_up(self.folder, self.stage):
            self._take_up(tensors, facts)

    def _take_up(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        state = {key.removeprefix("model."): x for key, x in tensors.items() if key.startswith("model.")}
        self.model.load_state_dict(state, strict=False)
        optimiser = self.optimiser.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        optimiser["state"] = moments
        for group, saved in zip(optimiser["param_groups"], facts["groups"], strict=True):
            group |= saved
        self.optimiser.load_state_dict(optimiser)
        self.schedule.load_state_dict(self.schedule.state_dict() | facts["schedule"])
        self.generator.set_state(tensors["generator"])
        self.epoch, self.records = facts["epoch"], facts["records"]
        if facts["best"] is not None:
            weights = {k.removeprefix("best."): x for k, x in tensors.items() if k.startswith("best.")}
            self.best, self.at_start = (
                Best(facts["best"], tensors["best_nats"], weights),
                tensors["nats_at_start"],
            )


def _half_cosine(done: float) -> float:
    """From 1 to 0; movies of unequal length make an epoch of more or fewer steps than was foreseen."""
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _changing_state(model: DynamicalModel) -> dict[str, Tensor]:
    """What training changes; the rest, as the generator's base, is saved once, at the start of the stage."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _copied(model: DynamicalModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in _changing_state(model).items()}


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str | bool | list)

"""Training where poses are inferred too: low frequencies first, one volume first, the ELBO last."""

from pathlib import Path

import torch
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.objective import Bound, elbo_with_poses
from temporem.fitting.options import FittingOptions
from temporem.fitting.pose_network.dreaming import dream
from temporem.fitting.pose_network.exploring import explore, state_grid
from temporem.fitting.processes import ALONE
from temporem.fitting.trainer import Trainer
from temporem.model.batches import FrameBatch, MovieBatch
from temporem.model.features import ImageFeatures
from temporem.model.methods import DynamicalModel

__all__ = ["PoseTrainer"]

EXPLORING = 0.7
"""Share of a stage from nothing that explores."""
FIRST_RADIUS = 2.5
"""In Fourier pixels: what exploration begins with; all count by its end."""
LEAST_CHOSEN = 64
"""Coefficients that a step looks at, where there are as many: fewer do not tell poses apart."""
DREAMS = 3
"""Frames dreamt of for each one seen."""


class PoseTrainer(Trainer):
    """A `Trainer` for movies as they are, neither turned nor centred: `store` must hold them so.

    A stage `from_nothing` explores first, with one volume for all frames (z = 0): states that may be anything
    would paint each frame before its pose is found. Any other begins with the ELBO.
    """

    def __init__(
        self,
        model: DynamicalModel,
        store: FrameStore,
        options: FittingOptions,
        epochs: int,
        stage: str,
        folder: Path,
        generator: torch.Generator,
        noise_sd: float,
        from_nothing: bool,
    ) -> None:
        super().__init__(model, store, options, epochs, stage, folder, generator)
        self.noise_sd, self.from_nothing = noise_sd, from_nothing
        # Of several, each process does all of it: what is drawn depends on how many frames there are.
        self.processes = ALONE

    def step(self, batch: MovieBatch) -> tuple[Bound, Tensor]:
        """See `Trainer.step`; besides, the heads learn from dreams, and from the best tries."""
        frames = self.store.frames(batch.rows)
        done = self.schedule.last_epoch / max(1, self.steps)
        exploring = self.from_nothing and done < EXPLORING
        count = self._count(done / EXPLORING) if exploring else len(self.store.lattice)
        lattice, frames_seen = self.store.lattice, len(batch.rows)
        chosen = self.choose_coefficients(frames_seen, count, LEAST_CHOSEN)
        z = torch.zeros((1, self.options.dimensions), device=self.store.device)
        grid = state_grid(self.model, z if exploring else self.draw_noise(1, self.options.dimensions))
        lesson = dream(
            self.model, grid, self._transfer_to_dream(frames), lattice, self.noise_sd, self.generator
        )
        if exploring:
            found = explore(self.model, frames, grid, lattice, count, chosen, self.generator)
            return found.bound, lesson + found.surprise / frames_seen
        noise = self.draw_noise(*batch.mask.shape, self.options.dimensions)
        pose_noise = self.draw_noise(frames_seen, 5)
        bound = elbo_with_poses(self.model, frames, batch, lattice, count, chosen, noise, pose_noise)
        return bound, lesson

    def _count(self, explored: float) -> int:
        """Coefficients that count so far."""
        # Slowly at first: the coarsest shape is what has to be found, and the rest follows.
        radius = FIRST_RADIUS + (self.store.lattice.radius - FIRST_RADIUS) * explored**2
        return self.store.lattice.count_within(radius)

    def _transfer_to_dream(self, frames: FrameBatch) -> Tensor:
        features = self.model.features
        count = features.count if isinstance(features, ImageFeatures) else frames.transfer.shape[1]
        return frames.transfer[:, :count].repeat(DREAMS, 1)

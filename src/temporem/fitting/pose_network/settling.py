"""One pose for each frame, of the candidates that a trained model gives."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.objective import best_candidates
from temporem.model.methods import DynamicalModel

__all__ = ["Settled", "settle"]

FRAMES_PER_BATCH = 512


@dataclass(frozen=True, eq=False)
class Settled:
    """Means and standard deviations of the poses of all frames, on the processor."""

    rotation: Float[Tensor, "frames 3 3"]
    translation_in_pixels: Float[Tensor, "frames 2"]
    rotation_sd: Float[Tensor, "frames 3"]
    """About the image's axes, in radians."""
    shift_sd_in_pixels: Float[Tensor, "frames 2"]


@torch.no_grad()
def settle(model: DynamicalModel, store: FrameStore, z: Float[Tensor, "frames latent"]) -> Settled:
    """The poses of all frames of an `unposed` store, at states z.

    Of each frame the mean of the candidate whose bound is best.
    """
    count = len(store)
    rotation, translation = torch.eye(3).repeat(count, 1, 1), torch.zeros(count, 2)
    turn, move = torch.zeros(count, 3), torch.zeros(count, 2)
    everything = torch.arange(len(store.lattice), device=store.device)
    for rows in torch.split(torch.arange(count), FRAMES_PER_BATCH):
        frames = store.frames(rows)
        candidates = model.pose_candidates(frames, store.lattice)
        noise = torch.zeros((*candidates.rotation.shape[:2], 5), device=store.device)
        means = candidates.sample(noise, model.shift_prior())
        best = best_candidates(
            model.generator,
            frames,
            z[rows].to(store.device),
            means,
            store.lattice,
            len(everything),
            everything,
        )
        chosen = candidates.chosen(best)
        rotation[rows], translation[rows] = chosen.rotation.cpu(), chosen.shift.mean.cpu()
        turn[rows], move[rows] = chosen.log_sd_of_rotation.exp().cpu(), chosen.shift.sd.cpu()
    return Settled(rotation, translation, turn, move)

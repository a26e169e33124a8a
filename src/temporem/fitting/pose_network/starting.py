"""Where the networks start when no pose is known: a volume's power, and poses where some were found."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.consensus import Consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.pose_network.exploring import log_mixture
from temporem.model.methods import DynamicalModel

__all__ = ["nothing_known", "teach_poses"]

LEAST_POWER = 1e-4
"""Of a shell, relative to the strongest: noise may hide all of it."""
PASSES = 40
LEARNING_RATE = 1e-3
FRAMES_AT_ONCE = 256


def nothing_known(store: FrameStore) -> Consensus:
    """No volume, but its power in each shell: mean |X|² less the noise, over the mean squared CTF."""
    lattice = store.lattice
    seen, passed = (torch.zeros(len(lattice), device=store.device) for _ in range(2))
    for rows in torch.split(torch.arange(len(store)), FRAMES_AT_ONCE):
        frames = store.frames(rows)
        seen += (frames.coefficients.abs().square() - 1).sum(0)
        passed += frames.transfer.square().sum(0)
    shells = torch.zeros((2, lattice.radius + 1), device=store.device)
    shells.index_add_(1, lattice.shell, torch.stack((seen, passed)))
    power = shells[0] / shells[1].clamp(min=1e-12)
    power = power.clamp(min=LEAST_POWER * float(power.max().clamp(min=1e-12)))
    box = (lattice.box_size,) * 3
    return Consensus(torch.zeros(box, device=store.device), torch.ones(box, device=store.device), power)


def teach_poses(
    model: DynamicalModel,
    store: FrameStore,
    rotation: Float[Tensor, "frames 3 3"],
    translation_in_pixels: Float[Tensor, "frames 2"],
    generator: torch.Generator,
    advance: Callable[[int, str], None],
) -> None:
    """Set the heads' initial means: poses of all frames of an `unposed` store, found by other means.

    Heads and features learn to give them, by maximum likelihood; `advance` is told of each of `PASSES`.
    """
    if model.poses is None:
        raise ValueError("this model takes poses as known")
    parameters = [*model.features.parameters(), *model.poses.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, PASSES)
    rotation, translation = rotation.to(store.device), translation_in_pixels.to(store.device)
    model.train()
    with torch.no_grad():
        model.poses.log_shift_sd.copy_(translation.square().mean().clamp(min=1e-2).log() / 2)
    for _ in range(PASSES):
        total = 0.0
        for rows in torch.split(torch.randperm(len(store), generator=generator), FRAMES_AT_ONCE):
            candidates = model.pose_candidates(store.frames(rows), store.lattice)
            loss = -log_mixture(candidates, rotation[rows], translation[rows]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 10.0)
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        schedule.step()
        advance(1, f"−log density {total / len(store):.2f}")

"""The linear state-space method: states by an exact smoother, and volumes back-projected along them.

V(z) = V₀ + Σ_j z_j V_j at low resolution, with an Ornstein–Uhlenbeck prior on each movie, gives the states;
sharp volumes are then locally weighted averages along the states. No network. A method of its own, and where
the networks start.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.anchors import Anchored, anchor_count, fit_anchors
from temporem.fitting.bandwidths import BANDWIDTHS
from temporem.fitting.consensus import Consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.subspace_fit import (
    FIRST_EPOCHS,
    FIRST_RATE,
    START_RELAXATION_TIME,
    SubspacePosterior,
    fit_subspace,
    order_components,
    sort_components,
    start_subspace,
    subspace_posterior,
    subspace_radius,
)
from temporem.model.subspace import LinearSubspace
from temporem.progress import progress

__all__ = ["LinearStates", "Record", "find_states", "find_volumes"]

MORE_EPOCHS, MORE_RATE = 6, 0.04
"""Of the subspace, from a fitted one: the answer's own, or with time added to a baseline's."""

Record = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class LinearStates:
    """The linear subspace, and the states of all frames in it."""

    subspace: LinearSubspace
    relaxation_time: Float[Tensor, " latent"] | None
    """Of each component, in usual frame intervals; None where frames were taken each alone."""
    posterior: SubspacePosterior

    @property
    def metric(self) -> Float[Tensor, "latent latent"]:
        """M of dzᵀ M dz, the squared change of the volume with a change of state."""
        parts = self.subspace.parts.detach()[1:].flatten(1)
        return parts @ parts.T


def find_states(
    store: FrameStore,
    consensus: Consensus,
    latent_dim: int,
    timed: bool,
    before: LinearSubspace | None,
    twice: bool,
    generator: torch.Generator,
    record: Record | None = None,
) -> LinearStates:
    """Fit the subspace, with time or each frame alone, and smooth.

    It starts from the one `before` and keeps its basis, else from noise, and then has its components ordered;
    `twice` fits it on with the smaller rate: for the answer, and for a baseline that gets the updates of a
    refined one. `record` gets the likelihood of each epoch.

    Raises UserError where numbers are lost to overflow.
    """
    box = store.lattice.box_size
    subspace = LinearSubspace(box, latent_dim, subspace_radius(box, store.pixel_size_in_angstroms))
    subspace.to(store.device)
    if before is None:
        start_subspace(subspace, consensus.volume, generator)
        rounds = [(FIRST_EPOCHS, FIRST_RATE), (MORE_EPOCHS, MORE_RATE)][: 2 if twice else 1]
    else:
        subspace.load_state_dict(before.state_dict())
        rounds = [(MORE_EPOCHS, MORE_RATE)]
    relaxation_time: Tensor | None = None
    if timed:
        relaxation_time = torch.full((latent_dim,), START_RELAXATION_TIME, device=store.device)
    epoch, began = 0, time.monotonic()
    with progress("Linear subspace", sum(epochs for epochs, _ in rounds)) as advance:

        def told(loss: float) -> None:
            nonlocal epoch, began
            epoch += 1
            now = time.monotonic()
            if record is not None:
                terms = {"negative_log_likelihood": loss, "stage": "linear", "epoch": epoch}
                record(terms | {"seconds": now - began})
            began = now
            advance(1, f"−log likelihood {loss:.1f}")

        for epochs, rate in rounds:
            relaxation_time = fit_subspace(subspace, store, relaxation_time, epochs, rate, generator, told)
    subspace.requires_grad_(False)
    # A network that was fitted in this basis keeps it.
    if before is None and relaxation_time is None:
        order_components(subspace)
    elif before is None and relaxation_time is not None:
        relaxation_time = sort_components(subspace, relaxation_time)
    return LinearStates(subspace, relaxation_time, subspace_posterior(subspace, store, relaxation_time))


def find_volumes(store: FrameStore, states: LinearStates, consensus: Consensus, seed: int) -> Anchored:
    """Back-project along the states."""
    steps = anchor_count(len(store)) + len(BANDWIDTHS)
    with progress("Volumes along the states", steps) as advance:
        return fit_anchors(
            store,
            states.posterior.mean.to(store.device),
            states.metric,
            consensus.volume,
            consensus.mask,
            consensus.signal_power,
            seed,
            advance,
        )

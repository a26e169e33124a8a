"""From the linear method's answer to a deformable generator's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.anchors import Anchored, fit_anchors
from temporem.fitting.canonical_support import fullest_state
from temporem.fitting.consensus import Consensus
from temporem.fitting.deformation import Deformed, fit_deformation
from temporem.fitting.deformation_choice import Choice, choose, left_out, rows_of
from temporem.fitting.deformation_options import DeformationOptions, passes
from temporem.fitting.frames import FrameStore
from temporem.fitting.linear import LinearStates
from temporem.fitting.options import PoseKind
from temporem.fitting.unfolding import INSIDE
from temporem.model.anchor_generator import AnchorGenerator
from temporem.physics.volumes import fourier_resize
from temporem.progress import progress

__all__ = ["Beginning", "beginning_of", "deform", "deformation_facts"]

_STATES_FOR_FACTS = 200


@dataclass(frozen=True)
class Beginning:
    """What a deformation starts from, in the words of `fit_deformation`."""

    z: Float[Tensor, "frames latent"]
    """Of unit variance."""
    volume: Float[Tensor, "n n n"]
    """Of one state, in the full box."""
    signal_power: Float[Tensor, " shells"]


def beginning_of(
    store: FrameStore, states: LinearStates, anchored: Anchored, consensus: Consensus
) -> Beginning:
    """The linear states, the volume of the state in their middle or the fullest, and the power of a state's
    volume, beyond the shells in which states differ the consensus's."""
    z = states.posterior.mean.to(store.device)
    middle = z.median(0).values - anchored.generator.anchors
    nearest = int(torch.einsum("ai,ij,aj->a", middle, states.metric, middle).argmin())
    volumes = anchored.generator.volumes_at_anchors
    volume = fourier_resize(volumes[fullest_state(volumes, nearest)], store.lattice.box_size)
    scaled = (z - z.mean(0)) / z.std(0).clamp(min=1e-6)
    known = len(anchored.signal_power)
    power = torch.cat((anchored.signal_power.to(z.device), consensus.signal_power[known:]))
    return Beginning(scaled, volume, power)


def deform(
    store: FrameStore,
    states: LinearStates,
    anchored: Anchored,
    consensus: Consensus,
    seed: int,
    record: Callable[[dict[str, Any]], object],
    folder: Path | None = None,
    poses: PoseKind = "given",
) -> tuple[Deformed, Choice | None]:
    """Fit the motion from the linear states, and the density from the volume of one of them.

    The states are refined, and the poses as `DeformationOptions.poses` says. Every pass is told to `record`.

    Movies left out of both judge it against averages along the states, each at its own poses; None where
    there are too few movies.

    Raises UserError where numbers are lost to overflow.
    """
    z = states.posterior.mean.to(store.device)
    begun = beginning_of(store, states, anchored, consensus)
    options = DeformationOptions(poses=poses, mass_changes=poses == "given")
    judges = left_out(len(store.movie_rows))
    choice: list[Choice] = []

    def judge(found: Deformed) -> None:
        if judges:
            averages = _averages(store, z, states, consensus, judges, seed)
            deformable = (store.posed(found.poses), found.generator, found.states.mean)
            choice.append(choose(judges, deformable, (store, averages, z)))

    with progress("Motion and density", passes(options, bool(judges))) as advance:
        found = fit_deformation(
            store,
            begun.z,
            begun.volume,
            consensus.mask,
            begun.signal_power,
            options,
            seed,
            folder,
            advance,
            record,
            judges,
            judge,
        )
    return found, choice[0] if choice else None


def _averages(
    store: FrameStore,
    z: Float[Tensor, "frames latent"],
    states: LinearStates,
    consensus: Consensus,
    judges: list[int],
    seed: int,
) -> AnchorGenerator:
    """Volumes along the states from all movies but the judges."""
    kept = [movie for movie in range(len(store.movie_rows)) if movie not in judges]
    seen = z[rows_of(store, kept).to(z.device)]
    support = (consensus.mask > 0).to(consensus.mask)
    # What scikit-learn takes.
    told = (consensus.volume, support, consensus.signal_power, seed % 2**32)
    return fit_anchors(store.only(kept), seen, states.metric, *told, lambda count, note: None).generator


@torch.no_grad()
def deformation_facts(found: Deformed) -> dict[str, Any]:
    """What a person may ask of a deformation, as JSON holds it.

    `points`: Gaussians of the density. `displacement_in_angstroms`: of the density's mass, root mean square
    over states. `appearing_share_of_mass`: what comes and goes, the standard deviations over states of the
    mass at each point, summed, of all mass. `least_volume_change`: of any small volume in any state, 1 where
    nothing is stretched; at or below 0 (`folds`) the motion is impossible. `relaxation_times`: in usual frame
    intervals. `positive_points`: whether points of negative amplitude were left out, and by what gains in
    movies left out of the fit; None without such movies.
    """
    generator = found.generator
    rows = torch.linspace(0, len(found.states.mean) - 1, _STATES_FOR_FACTS).round().long()
    z = found.states.mean[rows.to(found.states.mean.device)]
    moved = generator.displacements(z)
    # What is not there in a state tells nothing of the motion in it.
    weight = generator.amplitudes(z).clamp(min=0)
    squared = (moved - moved.mean(0)).square().sum(-1)
    least = float(generator.volume_changes(z)[weight > INSIDE * weight.max()].min())
    return {
        "points": len(generator.points),
        "displacement_in_angstroms": float(((squared * weight).sum() / weight.sum()).sqrt()),
        "appearing_share_of_mass": float(weight.std(0).sum() / weight.mean(0).sum()),
        "least_volume_change": least,
        "folds": least <= 0,
        "relaxation_times": found.relaxation_time.tolist(),
        "positive_points": None if found.positive is None else found.positive.facts,
    }

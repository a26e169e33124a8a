"""Where a motion found turns a molecule inside out, the least change of it that does not."""

from copy import deepcopy

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.model.deformable_generator import DeformableGenerator

__all__ = ["INSIDE", "LEAST_ALLOWED", "unfold"]

INSIDE = 0.1
"""Of the largest mass at a point: what emptier space does is no matter."""
LEAST_ALLOWED = 0.05
"""Volume change: above 0 by what states between those of frames may differ."""
_GUARDED = 0.05
"""Of the largest mass: the density is solved for afterwards, and there may be more then."""
_AIM = 0.1
_NEAR = 0.2
"""Points below it in some state are watched; the rest are looked at again in the end."""
_STATES_AT_ONCE = 128
_ROUNDS = 40
_STEPS_IN_ROUND = 20
_RATE = 3e-4
_FIRST_PRICE, _PRICE_GROWS = 1.0, 1.3
"""In Å² of mean squared change of displacement, of a mean squared shortfall below `_AIM`."""
_STATES_IN_STEP, _POINTS_IN_STEP, _HELD_STATES, _HELD_POINTS = 64, 200, 32, 1000


def unfold(generator: DeformableGenerator, z: Float[Tensor, "states latent"], seed: int) -> float:
    """Change the field as little as keeps volume changes in these states above `LEAST_ALLOWED`, where there
    is mass in any of them.

    A penalty method: displacements are held where they were by their mean squared change, against the squared
    shortfall of the volume changes, whose price grows until none is left. A field that does not fold stays as
    it is. Return the least volume change left.
    """
    points = generator.points[_holds_mass(generator, z)]
    least = _least(generator, z, points)
    if least.min() >= LEAST_ALLOWED:
        return float(least.min())
    watched = least < _NEAR
    was, random = deepcopy(generator.field), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(generator.field.parameters(), lr=_RATE)
    price = _FIRST_PRICE
    for _ in range(_ROUNDS):
        change = _volume_changes(generator, z, points[watched])
        if change.min() >= LEAST_ALLOWED:
            least = _least(generator, z, points)
            if least.min() >= LEAST_ALLOWED:
                break
            watched |= least < _NEAR
            change = _volume_changes(generator, z, points[watched])
        folding = z[(change < LEAST_ALLOWED).any(1)]
        short = points[watched][(change < _AIM).any(0)]
        for _ in range(_STEPS_IN_ROUND):
            some = generator.volume_changes(
                _drawn(folding, _STATES_IN_STEP, random), _drawn(short, _POINTS_IN_STEP, random)
            )
            shortfall = (_AIM - some).clamp(min=0)
            mean = shortfall.square().sum() / (shortfall > 0).sum().clamp(min=1)
            held, at = _drawn(z, _HELD_STATES, random), _drawn(points, _HELD_POINTS, random)
            with torch.no_grad():
                before = was(at * generator.config.pixel_size_in_angstroms, held)
            moved = (generator.displacements(held, at) - before).square().sum(-1).mean()
            optimiser.zero_grad()
            (price * mean + moved).backward()
            optimiser.step()
        price *= _PRICE_GROWS
    return float(_least(generator, z, points).min())


@torch.no_grad()
def _holds_mass(generator: DeformableGenerator, z: Float[Tensor, "states latent"]) -> Bool[Tensor, " points"]:
    """Points that hold mass in some state."""
    most = [generator.amplitudes(some).abs().amax(0) for some in torch.split(z, _STATES_AT_ONCE)]
    mass = torch.stack(most).amax(0)
    return mass >= _GUARDED * mass.max()


def _least(
    generator: DeformableGenerator, z: Float[Tensor, "states latent"], points: Float[Tensor, "points 3"]
) -> Float[Tensor, " points"]:
    """The least volume change at points, of all states."""
    least = [_volume_changes(generator, some, points).amin(0) for some in torch.split(z, _STATES_AT_ONCE)]
    return torch.stack(least).amin(0)


@torch.no_grad()
def _volume_changes(
    generator: DeformableGenerator, z: Float[Tensor, "states latent"], points: Float[Tensor, "points 3"]
) -> Float[Tensor, "states points"]:
    return generator.volume_changes(z, points)


def _drawn(rows: Float[Tensor, "rows n"], count: int, random: torch.Generator) -> Float[Tensor, "some n"]:
    """Some of the rows, each once at most."""
    chosen = torch.randperm(len(rows), generator=random)[:count]
    return rows[chosen.to(rows.device)]

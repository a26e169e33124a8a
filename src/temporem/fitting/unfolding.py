"""Where a motion found turns a molecule inside out, the least change of it that does not."""

from collections.abc import Callable
from copy import deepcopy

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from temporem.fitting.stability import require_finite
from temporem.model.deformable_generator import DeformableGenerator
from temporem.model.fields import DeformationField

__all__ = ["INSIDE", "LEAST_ALLOWED", "unfold"]

INSIDE = 0.1
"""Of the largest mass at a point: what emptier space does is no matter."""
LEAST_ALLOWED = 0.05
"""Volume change: above 0 by what states between those of frames may differ."""
_GUARDED = INSIDE / 2
"""Of the largest mass: the density is solved for afterwards, and there may be more then."""
_AIM = 0.1
"""What volume changes below it are lifted to."""
_NEAR = 0.2
"""Points below it in some state are watched; the rest are looked at again in the end."""
_STATES_AT_ONCE = 128
_ROUNDS, _STEPS_IN_ROUND = 40, 20
_RATE = 3e-4
"""Of Adam: small, for what does not fold is to stay."""
_FIRST_PRICE, _PRICE_GROWS = 1.0, 1.3
"""Of a mean squared shortfall of one below `_AIM`, in Å² of displacement; and by what it grows in a round."""
_STATES_IN_STEP, _POINTS_IN_STEP, _HELD_STATES, _HELD_POINTS = 64, 200, 32, 1000
_REMEDY = "try another --seed, or --method linear"


def unfold(
    generator: DeformableGenerator,
    z: Float[Tensor, "states latent"],
    seed: int,
    advance: Callable[[int, str], None],
) -> float:
    """Change the field as little as keeps volume changes in these states above `LEAST_ALLOWED`, wherever
    there is mass in any of them. `advance` is told of each round, as of no progress.

    A penalty method: displacements are held where they were by their mean squared change, against the squared
    shortfall of the volume changes, whose price grows from round to round until none is left or the rounds
    are over. A field that does not fold stays as it is. Return the least volume change that is left.

    Raises UserError where numbers are lost to overflow.
    """
    points = generator.points[_holds_mass(generator, z)]
    before, random = deepcopy(generator.field), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(generator.field.parameters(), lr=_RATE)
    watched = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    turn = 0
    while True:
        least = _least(generator, z, points)[1]
        require_finite(float(least.sum()), "the motion", _REMEDY)
        if least.min() >= LEAST_ALLOWED or turn == _ROUNDS:
            return float(least.min())
        watched |= least < _NEAR
        while turn < _ROUNDS:
            of_states, of_points = _least(generator, z, points[watched])
            if of_points.min() >= LEAST_ALLOWED:
                break
            turn += 1
            advance(0, f"undoing folds, round {turn}")
            folding, low = z[of_states < LEAST_ALLOWED], points[watched][of_points < _AIM]
            for _ in range(_STEPS_IN_ROUND):
                shortfall = _shortfall(generator, folding, low, random)
                moved = _moved(generator, before, z, points, random)
                optimiser.zero_grad()
                loss = _FIRST_PRICE * _PRICE_GROWS ** (turn - 1) * shortfall + moved
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()


@torch.no_grad()
def _holds_mass(generator: DeformableGenerator, z: Float[Tensor, "states latent"]) -> Bool[Tensor, " points"]:
    """Points that hold mass, positive or negative, in some state."""
    most = [generator.amplitudes(some).abs().amax(0) for some in torch.split(z, _STATES_AT_ONCE)]
    mass = torch.stack(most).amax(0)
    require_finite(float(mass.max()), "the density", _REMEDY)
    return mass >= _GUARDED * mass.max()


@torch.no_grad()
def _least(
    generator: DeformableGenerator, z: Float[Tensor, "states latent"], points: Float[Tensor, "points 3"]
) -> tuple[Float[Tensor, " states"], Float[Tensor, " points"]]:
    """The least volume change in each state, and at each point."""
    of_states, of_points = [], []
    for some in torch.split(z, _STATES_AT_ONCE):
        change = generator.volume_changes(some, points)
        of_states.append(change.amin(1))
        of_points.append(change.amin(0))
    return torch.cat(of_states), torch.stack(of_points).amin(0)


def _shortfall(
    generator: DeformableGenerator,
    z: Float[Tensor, "states latent"],
    points: Float[Tensor, "points 3"],
    random: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean squared shortfall below `_AIM` of what is below, in some states and at some points."""
    states = _drawn(z, _STATES_IN_STEP, random)
    change = generator.volume_changes(states, _drawn(points, _POINTS_IN_STEP, random))
    shortfall = (_AIM - change).clamp(min=0)
    return shortfall.square().sum() / (shortfall > 0).sum().clamp(min=1)


def _moved(
    generator: DeformableGenerator,
    before: DeformationField,
    z: Float[Tensor, "states latent"],
    points: Float[Tensor, "points 3"],
    random: torch.Generator,
) -> Float[Tensor, ""]:
    """Mean squared change of displacement in Å², in some states and at some points."""
    states, at = _drawn(z, _HELD_STATES, random), _drawn(points, _HELD_POINTS, random)
    with torch.no_grad():
        was = before(at * generator.config.pixel_size_in_angstroms, states)
    moved: Tensor = (generator.displacements(states, at) - was).square().sum(-1).mean()
    return moved


def _drawn(rows: Float[Tensor, "rows n"], count: int, random: torch.Generator) -> Float[Tensor, "some n"]:
    """Some of the rows, each once at most."""
    chosen = torch.randperm(len(rows), generator=random)[:count]
    return rows[chosen.to(rows.device)]

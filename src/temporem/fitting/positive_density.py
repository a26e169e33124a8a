"""A density solved for without the points where it was negative, if movies left out of the fit allow that.

Solved for freely, a density has negative amplitudes: noise, or real ones, as the rims of a molecule cut off
at Nyquist. Movies left out tell which. If half of them can go without those movies being foretold worse,
beyond doubt, the density is solved for again on the points where it was positive, and that is kept if the
movies are foretold better. It is one step of an active-set method for non-negative least squares, begun at
the free solution; what becomes negative in it stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.deformation_choice import Choice, better_by
from temporem.model.deformable_generator import DeformableGenerator

__all__ = ["Positive", "on_positive_points"]

_LEFT = 0.5
"""Of negative amplitudes, in the first question."""


@dataclass(frozen=True)
class Positive:
    """What came of it."""

    support: Float[Tensor, "n n n"]
    """Of the density that the generator is left with."""
    halved: Choice
    """What movies left out say of half of the negative amplitudes."""
    solved: Choice | None = None
    """And of the density on the positive points; None where it was not solved for."""

    @property
    def taken(self) -> bool:
        """Whether only the positive points are left."""
        return self.solved is not None and self.solved.gain > 0

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON holds it: gains in nats a frame."""
        facts: dict[str, Any] = {"taken": self.taken, "gain_of_half": self.halved.gain}
        if self.solved is not None:
            facts |= {"gain": self.solved.gain, "standard_error": self.solved.standard_error}
        return facts


def on_positive_points(
    generator: DeformableGenerator,
    support: Float[Tensor, "n n n"],
    solve: Callable[[Float[Tensor, "n n n"]], object],
    misfit: Callable[[], Float[Tensor, " movies"]],
) -> Positive:
    """Solve for the density again on the points of `support` where it is positive, and keep the better one.

    The generator's points are those of `support`, one for each voxel that is not 0. `solve` sets its density
    on another support, `misfit` tells how ill it foretells movies left out, in nats a frame.
    """
    points, free = generator.points, generator.amplitude
    width, before = float(generator.width_in_pixels), misfit()
    generator.amplitude = torch.where(free < 0, _LEFT * free, free)
    halved = better_by(before, misfit())
    generator.amplitude = free
    if not halved.taken or not (free > 0).any():
        return Positive(support, halved)
    positive = torch.zeros_like(support)
    positive[support > 0] = torch.where(free > 0, support[support > 0], 0)
    solve(positive)
    found = Positive(positive, halved, better_by(before, misfit()))
    if found.taken:
        return found
    generator.place(points, width)
    generator.amplitude = free
    return Positive(support, halved, found.solved)

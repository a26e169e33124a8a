"""A density without its negative parts, where movies left out of the fit allow that.

Solved for freely, a density has negative parts: noise, or real ones, as the rims of a molecule cut off at
Nyquist. Movies left out tell which. If half of those parts can go and the movies are foretold no worse,
beyond doubt, the density is solved for again on the points where it was positive, the first step of an
active-set method for non-negative least squares (Lawson & Hanson 1974, Solving Least Squares Problems, ch.
23), and kept where they are foretold better.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.deformation_choice import Choice, better_by
from temporem.model.deformable_generator import DeformableGenerator

__all__ = ["without_negative_parts"]

_LEFT = 0.5
"""Of the negative parts, in the first question."""
_DOUBT = 2.0
"""Standard errors by which the movies must be foretold worse for those parts to be real."""


def without_negative_parts(
    generator: DeformableGenerator,
    support: Float[Tensor, "n n n"],
    solve: Callable[[Float[Tensor, "n n n"]], object],
    misfit: Callable[[], Float[Tensor, " movies"]],
    skip: Callable[[], object],
) -> Float[Tensor, "n n n"]:
    """The support of the density that the generator is left with: the one given, or its part where the
    density was positive.

    The generator's points are those of `support`, one for each voxel that is not 0. `solve` sets its density
    on another support, `misfit` tells how ill it foretells movies left out, in nats a frame; `skip` is called
    where there is nothing to solve.
    """
    points, free = generator.points, generator.amplitude
    width, before = float(generator.width_in_pixels), misfit()
    generator.amplitude = torch.where(free < 0, _LEFT * free, free)
    halved = better_by(before, misfit())
    generator.amplitude = free
    if _worse(halved) or not (free > 0).any():
        skip()
        return support
    positive = torch.zeros_like(support)
    positive[support > 0] = torch.where(free > 0, support[support > 0], 0)
    solve(positive)
    if better_by(before, misfit()).gain > 0:
        return positive
    generator.place(points, width)
    generator.amplitude = free
    return support


def _worse(choice: Choice) -> bool:
    return choice.gain < -_DOUBT * choice.standard_error

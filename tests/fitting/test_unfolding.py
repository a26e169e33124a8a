"""Folds go, by a derivative found another way; what does not fold stays."""

from copy import deepcopy

import pytest
import torch
from blob_movies import silent
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting import unfolding
from temporem.fitting.unfolding import LEAST_ALLOWED, unfold
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig

PIXEL = 3.0
STATES = torch.linspace(-1.5, 1.5, 40)[:, None]


def lattice() -> Tensor:
    axis = torch.arange(-8.0, 9.0, 2.0)
    return torch.cartesian_prod(axis, axis, axis)


def squeezed(depth: float) -> DeformableGenerator:
    """At z = 1.5 planes about x = 0 are squeezed by `depth`, and folded beyond 1; at -1.5 by nothing."""
    config = DeformableGeneratorConfig(32, 1, PIXEL)
    generator = DeformableGenerator(config, torch.Generator().manual_seed(0))
    generator.place(lattice(), 0.5)
    generator.amplitude = torch.ones(len(generator.points))
    x = generator.points * PIXEL
    asked = torch.zeros(len(STATES), *x.shape)
    asked[..., 0] = -depth * 9 * torch.tanh(x[:, 0] / 9) * ((STATES + 1.5) / 3)
    optimiser = torch.optim.Adam(generator.field.parameters(), lr=5e-3)
    for _ in range(400):
        loss = (generator.displacements(STATES) - asked).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return generator


def volume_changes(generator: DeformableGenerator, z: Tensor) -> Tensor:
    """By automatic differentiation of the displacements."""

    def moved(x: Tensor, state: Tensor) -> Tensor:
        where: Tensor = generator.field(x[None], state[None])[0, 0]
        return x + where

    jacobian = torch.func.vmap(torch.func.jacrev(moved), in_dims=(0, None))
    with torch.no_grad():
        return torch.stack([torch.linalg.det(jacobian(generator.points * PIXEL, state)) for state in z])


@pytest.fixture(scope="module")
def folded() -> DeformableGenerator:
    torch.manual_seed(0)
    return squeezed(1.4)


def test_folds_go_and_the_rest_of_the_motion_stays(folded: DeformableGenerator) -> None:
    generator = deepcopy(folded)
    before = volume_changes(generator, STATES)
    assert before.min() < -0.1
    least = unfold(generator, STATES, 0, silent)
    after = volume_changes(generator, STATES)
    assert after.min() > LEAST_ALLOWED - 0.01
    assert least == pytest.approx(float(after.min()), abs=0.01)
    with torch.no_grad():
        moved = generator.displacements(STATES) - folded.displacements(STATES)
        motion = folded.displacements(STATES)
    # States that did not come near to folding.
    easy = before.amin(1) > 0.4
    assert easy.any()
    assert moved[easy].norm() < 0.1 * motion[easy].norm()
    assert moved.norm() < 0.2 * motion.norm()


def test_a_motion_without_folds_stays_as_it_is() -> None:
    torch.manual_seed(0)
    generator = squeezed(0.5)
    weights = deepcopy(generator.state_dict())
    assert unfold(generator, STATES, 0, silent) > 0.3
    assert all(torch.equal(x, weights[name]) for name, x in generator.state_dict().items())


def test_empty_space_may_fold(folded: DeformableGenerator) -> None:
    generator = deepcopy(folded)
    generator.amplitude = (generator.points[:, 0].abs() > 4).float()
    weights = deepcopy(generator.field.state_dict())
    assert volume_changes(generator, STATES).min() < 0
    unfold(generator, STATES, 0, silent)
    assert all(torch.equal(x, weights[name]) for name, x in generator.field.state_dict().items())


def test_where_mass_is_in_some_states_only_nothing_folds(
    folded: DeformableGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = deepcopy(folded)
    always = generator.points[:, 0].abs() > 4

    def appearing(z: Tensor) -> Tensor:
        """What appears with the state, and is negative, is there all the same."""
        return torch.where(always, 1.0, -0.1 * (z > 1))

    monkeypatch.setattr(generator, "amplitudes", appearing)
    unfold(generator, STATES, 0, silent)
    assert volume_changes(generator, STATES).min() > 0


def test_a_seed_makes_it_the_same(folded: DeformableGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolding, "_ROUNDS", 3)
    first, second = deepcopy(folded), deepcopy(folded)
    told: list[str] = []
    left = unfold(first, STATES, 3, lambda _, note: told.append(note))
    torch.manual_seed(5)
    assert unfold(second, STATES, 3, silent) == left < LEAST_ALLOWED
    assert len(told) == 3
    assert all(torch.equal(x, y) for x, y in zip(first.parameters(), second.parameters(), strict=True))


def test_lost_numbers_end_in_a_sentence(folded: DeformableGenerator) -> None:
    generator = deepcopy(folded)
    generator.amplitude = generator.amplitude * torch.nan
    with pytest.raises(UserError, match="the density became nan"):
        unfold(generator, STATES, 0, silent)
    torch.nn.init.constant_(next(generator.field.parameters()), torch.nan)
    generator.amplitude = torch.ones(len(generator.points))
    with pytest.raises(UserError, match="the motion became nan"):
        unfold(generator, STATES, 0, silent)

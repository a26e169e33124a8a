import pytest
import torch
from cases import normal

from temporem.model.priors import (
    GatedTransition,
    LatentPrior,
    OrnsteinUhlenbeck,
    PriorKind,
    StandardNormal,
    build_prior,
)
from temporem.model.transition import LEAST_TRANSITION_VARIANCE

KINDS = pytest.mark.parametrize("kind", ["standard", "ou", "gated"])


def ornstein_uhlenbeck(*times: float) -> OrnsteinUhlenbeck:
    prior = OrnsteinUhlenbeck(len(times), 1.0)
    with torch.no_grad():
        prior.log_relaxation_time.copy_(torch.tensor(times).log())
    return prior


@KINDS
def test_every_prior_begins_at_the_standard_normal_and_has_finite_gradients(kind: PriorKind) -> None:
    prior = build_prior(kind, 3)
    previous = normal(4, 5, 3).requires_grad_()
    interval = torch.ones(4, 5)
    interval[:, 0] = torch.inf
    interval[0, 1] = 0.0
    step = prior.transition(previous, interval)
    assert torch.equal(step.mean[:, 0], torch.zeros(4, 3))
    assert torch.equal(step.log_variance[:, 0], torch.zeros(4, 3))
    loss = (step.mean**2 + step.log_variance).sum()
    if loss.requires_grad:
        loss.backward()
    for tensor in (previous, *prior.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()


def test_standard_normal_forgets_at_once() -> None:
    step = StandardNormal().transition(normal(4, 2), torch.ones(4))
    assert torch.equal(step.mean, torch.zeros(4, 2))
    assert torch.equal(step.log_variance, torch.zeros(4, 2))


def test_kinds_are_what_they_are_called() -> None:
    kinds: dict[PriorKind, type[LatentPrior]] = {
        "standard": StandardNormal,
        "ou": OrnsteinUhlenbeck,
        "gated": GatedTransition,
    }
    for kind, expected in kinds.items():
        assert type(build_prior(kind, 2)) is expected


class TestOrnsteinUhlenbeck:
    def test_transition_is_the_equation(self) -> None:
        tau, interval, previous = torch.tensor([0.8, 4.0, 30.0]), 0.3 + normal(7).abs(), normal(7, 3)
        step = ornstein_uhlenbeck(0.8, 4.0, 30.0).transition(previous, interval)
        waited = interval[:, None] / tau
        torch.testing.assert_close(step.mean, torch.exp(-waited) * previous)
        torch.testing.assert_close(step.log_variance.exp(), 1 - torch.exp(-2 * waited))

    def test_two_steps_are_one_of_the_sum(self) -> None:
        prior, previous = ornstein_uhlenbeck(2.0, 7.0), normal(6, 2)
        first, second = normal(6).abs() + 0.1, normal(6, seed=1).abs() + 0.1
        one = prior.transition(previous, first)
        two = prior.transition(one.mean, second)
        decay = prior.transition(torch.ones(6, 2), second).mean
        variance = decay**2 * one.log_variance.exp() + two.log_variance.exp()
        both = prior.transition(previous, first + second)
        torch.testing.assert_close(two.mean, both.mean)
        torch.testing.assert_close(variance, both.log_variance.exp())

    def test_keeps_the_standard_normal(self) -> None:
        # Steps so short that the least variance holds are left out.
        step = ornstein_uhlenbeck(0.5, 5.0, 500.0).transition(torch.ones(9, 3), torch.logspace(-1, 3, 9))
        torch.testing.assert_close(step.mean**2 + step.log_variance.exp(), torch.ones(9, 3))

    def test_learned_time_is_that_of_the_paths_it_is_given(self) -> None:
        truth, learned = ornstein_uhlenbeck(6.0), ornstein_uhlenbeck(1.0)
        interval = 0.5 + torch.rand(400, 40, generator=torch.Generator().manual_seed(0))
        path = [normal(400, 1)]
        with torch.no_grad():
            for t in range(1, 40):
                step = truth.transition(path[-1], interval[:, t])
                path.append(step.sample(normal(400, 1, seed=t)))
        z = torch.stack(path, 1)
        optimiser = torch.optim.Adam(learned.parameters(), lr=0.1)
        for _ in range(80):
            step = learned.transition(z[:, :-1], interval[:, 1:])
            loss = ((z[:, 1:] - step.mean) ** 2 / step.log_variance.exp() + step.log_variance).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert learned.log_relaxation_time.exp().item() == pytest.approx(6.0, rel=0.1)


class TestGatedTransition:
    def test_closed_gate_is_linear_and_open_gate_is_the_proposal(self) -> None:
        prior, previous, interval = GatedTransition(3), normal(5, 3), torch.ones(5)
        with torch.no_grad():
            prior.gate[2].bias.fill_(-100.0)
        closed = prior.transition(previous, interval)
        torch.testing.assert_close(closed.mean, previous)
        with torch.no_grad():
            prior.gate[2].bias.fill_(100.0)
        opened = prior.transition(previous, interval)
        hidden, output = prior.proposal[0], prior.proposal[2]
        proposal = torch.relu(previous @ hidden.weight.T + hidden.bias) @ output.weight.T + output.bias
        torch.testing.assert_close(opened.mean, proposal)
        spread = torch.relu(proposal) @ prior.spread.weight.T + prior.spread.bias
        torch.testing.assert_close(opened.log_variance.exp(), torch.sigmoid(spread))

    def test_contains_ornstein_and_uhlenbeck_at_every_interval(self) -> None:
        """With z → ρ z as its step it makes theirs over any time."""
        prior, previous, interval = GatedTransition(2), normal(6, 2), torch.tensor([0.1, 0.5, 1, 2.7, 9, 40])
        tau = torch.tensor([3.0, 12.0])
        with torch.no_grad():
            prior.gate[2].bias.fill_(-100.0)
            prior.linear.weight.copy_(torch.diag(torch.exp(-1 / tau)))
            prior.spread.weight.zero_()
            prior.spread.bias.copy_(torch.logit(1 - torch.exp(-2 / tau)))
        found, expected = prior.transition(previous, interval), ornstein_uhlenbeck(3.0, 12.0)
        torch.testing.assert_close(found.mean, expected.transition(previous, interval).mean)
        torch.testing.assert_close(found.log_variance, expected.transition(previous, interval).log_variance)

    def test_a_gap_is_neither_one_step_nor_forgotten_at_once(self) -> None:
        """The path of the linear equation dz = rate · (c − z) dt, followed in small steps."""
        prior, previous = GatedTransition(2), normal(5, 2)
        unit = prior.transition(previous, torch.ones(5))
        decay = (1 - unit.log_variance.exp()).sqrt()
        centre = (unit.mean - decay * previous) / (1 - decay)
        path, small = previous.double(), 1e-3
        for _ in range(3000):
            path = path - small * torch.log(decay.double()) * (centre - path)
        gap = prior.transition(previous, torch.full((5,), 3.0))
        torch.testing.assert_close(gap.mean, path.float(), atol=5e-3, rtol=5e-3)
        torch.testing.assert_close(gap.log_variance.exp(), 1 - decay**6)
        assert (gap.log_variance > unit.log_variance).all()

    def test_no_time_no_change(self) -> None:
        prior, previous = GatedTransition(2), normal(5, 2)
        now = prior.transition(previous, torch.zeros(5))
        torch.testing.assert_close(now.mean, previous)
        torch.testing.assert_close(now.log_variance.exp(), torch.full((5, 2), LEAST_TRANSITION_VARIANCE))

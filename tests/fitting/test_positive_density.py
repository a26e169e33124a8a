"""Negative parts of a density go where they are noise, and stay where they are real."""

from collections.abc import Callable

import pytest
import torch

from temporem.fitting.positive_density import Positive, on_positive_points
from temporem.model.deformable_generator import DeformableGenerator, DeformableGeneratorConfig

BOX, MOVIES = 12, 8
SUPPORT = torch.zeros(BOX, BOX, BOX)
SUPPORT[3:9, 3:9, 3:9] = 1
NOISE = 0.3


class Data:
    """Movies that each see the true density under noise of their own."""

    def __init__(self, truth: torch.Tensor) -> None:
        random = torch.Generator().manual_seed(0)
        self.truth = truth
        self.fitted = truth + NOISE * torch.randn(truth.shape, generator=random)
        self.left_out = truth + NOISE * torch.randn(MOVIES, *truth.shape, generator=random)
        config = DeformableGeneratorConfig(BOX, 1, 3.0, modes=2, width=8)
        self.generator = DeformableGenerator(config, random)
        self.solve(SUPPORT)

    def solve(self, support: torch.Tensor) -> None:
        points = (support > 0).nonzero().flip(-1).float() - BOX // 2
        self.generator.place(points, 0.5)
        self.generator.amplitude = self.fitted[support > 0]

    def density(self) -> torch.Tensor:
        x, y, z = (self.generator.points.long() + BOX // 2).unbind(-1)
        density = torch.zeros(BOX, BOX, BOX)
        density[z, y, x] = self.generator.amplitude
        return density

    def misfit(self) -> torch.Tensor:
        return (self.left_out - self.density()).square().flatten(1).sum(1) / (2 * NOISE**2)

    def error(self) -> float:
        return float((self.density() - self.truth).square().sum())


def left_with(data: Data, solve: Callable[[torch.Tensor], object] | None = None) -> Positive:
    return on_positive_points(data.generator, SUPPORT, solve or data.solve, data.misfit)


def test_noise_loses_its_negative_parts_and_the_truth_comes_nearer() -> None:
    truth = torch.zeros_like(SUPPORT)
    truth[4:7, 4:7, 4:7] = 2.0
    data = Data(truth)
    before = data.error()
    found = left_with(data)
    assert found.taken
    assert torch.equal(found.support > 0, data.density() > 0)
    assert (found.support[truth > 0] == 1).all()
    # Of noise around 0 half is negative, and half of its power goes.
    assert data.error() < 0.65 * before


def test_real_negative_parts_stay() -> None:
    truth = SUPPORT * 2.0
    truth[4:6] *= -1
    data = Data(truth)
    before = data.density()
    found = left_with(data)
    assert found.support is SUPPORT
    assert found.solved is None
    assert torch.equal(data.density(), before)


def test_what_is_worse_after_all_is_undone() -> None:
    data = Data(torch.zeros_like(SUPPORT))
    before = data.density()

    def badly(support: torch.Tensor) -> None:
        data.solve(support)
        data.generator.amplitude = data.generator.amplitude + 5

    found = left_with(data, badly)
    assert found.support is SUPPORT
    assert found.solved is not None
    assert found.solved.gain < 0
    assert data.density() == pytest.approx(before)

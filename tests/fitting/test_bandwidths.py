"""Averages as wide as movies left out ask for, range by range."""

import torch
from torch import Tensor

from temporem.fitting.bandwidths import RANGES, Bandwidths, _own


def scored(*of_range: float, spread: float = 1.0, frames: int = 400) -> Tensor:
    """Scores of frames with these means, ranges by columns."""
    noise = torch.randn(frames, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.tensor(of_range) + spread * (noise - noise.mean())


def test_a_range_goes_its_own_way_only_where_that_is_clear() -> None:
    generator = torch.Generator().manual_seed(1)
    best = scored(0.0, 0.0)
    # The first range gains ten standard errors, the second half of one.
    gain = torch.tensor([0.5, 0.025]) + torch.randn(400, 2, generator=generator, dtype=torch.float64)
    other = best + gain - gain.mean(0) + torch.tensor([0.5, 0.025])
    scores = {0.4: best, 0.2: other}
    assert [_own(scores, 0.4, index) for index in (0, 1)] == [0.2, 0.4]


def test_each_shell_has_the_bandwidth_of_its_range_and_those_beyond_the_last() -> None:
    of_ranges = tuple(0.1 * (1 + index) for index in range(RANGES))
    found = Bandwidths(0.1, of_ranges, scored_shells=24, scores={}).by_shell(33)
    assert found.shape == (33,)
    width = 24 // RANGES
    expected = [of_ranges[min(shell // width, RANGES - 1)] for shell in range(33)]
    torch.testing.assert_close(found, torch.tensor(expected))

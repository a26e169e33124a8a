from itertools import combinations_with_replacement

import pytest
import torch

from temporem.fitting.bandwidths import choose_by_shell

TRIED = (0.1, 0.3, 1.0, 2.0)


@pytest.mark.parametrize("seed", range(8))
def test_the_choice_is_the_best_of_all_that_never_fall(seed: int) -> None:
    table = torch.randn(len(TRIED), 6, generator=torch.Generator().manual_seed(seed))
    scores = dict(zip(TRIED, table, strict=True))
    best = max(
        combinations_with_replacement(TRIED, 6),
        key=lambda path: sum(float(scores[bandwidth][shell]) for shell, bandwidth in enumerate(path)),
    )
    assert choose_by_shell(scores).tolist() == pytest.approx(best)


def test_equal_scores_are_averaged_as_widely_as_can_be() -> None:
    flat = {bandwidth: torch.zeros(5) for bandwidth in TRIED}
    assert choose_by_shell(flat).tolist() == [2.0] * 5
    assert choose_by_shell({0.4: torch.ones(3)}).tolist() == pytest.approx([0.4] * 3)

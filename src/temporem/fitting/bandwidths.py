"""How far to average along the states, chosen for each frequency shell."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["choose_by_shell"]


def choose_by_shell(scores: Mapping[float, Float[Tensor, " shells"]]) -> Float[Tensor, " shells"]:
    """The bandwidths of the highest score summed over shells, of all choices that never fall with frequency.

    `scores` are log likelihoods by bandwidth tried. Signal fades with frequency and noise does not, so fine
    detail wants more frames averaged, whatever a single shell's noise says. Of equal scores the widest wins.
    """
    tried = sorted(scores)
    table = torch.stack([scores[bandwidth] for bandwidth in tried]).double()
    # The highest sum of shells so far by the last one's bandwidth, and the bandwidth before it (Viterbi).
    total, before = table[:, 0], []
    for column in table[:, 1:].T:
        highest, index = total.cummax(0)
        before.append(index)
        total = highest + column
    last = len(tried) - 1 - int(total.flip(0).argmax())
    path = [last]
    for index in reversed(before):
        path.append(int(index[path[-1]]))
    return torch.tensor([tried[index] for index in reversed(path)])

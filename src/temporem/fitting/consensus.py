"""All frames taken for one state: a first volume, its power, and the solvent around it."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.frames import FrameStore
from temporem.fitting.processes import Processes
from temporem.progress import progress
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power, wiener
from temporem.reconstruction.masking import solvent_mask

__all__ = ["Consensus", "find_consensus", "of_all_processes"]


@dataclass(frozen=True)
class Consensus:
    """All frames taken for one state."""

    volume: Float[Tensor, "n n n"]
    mask: Float[Tensor, "n n n"]
    """Soft, 1 within the molecule."""
    signal_power: Float[Tensor, " shells"]


def of_all_processes(sums: Accumulator, processes: Processes) -> Accumulator:
    """Sums over the frames of all processes, from each one's own."""
    numerator, denominator = (processes.summed(x) for x in (sums.numerator, sums.denominator))
    return replace(sums, numerator=numerator, denominator=denominator)


def find_consensus(store: FrameStore) -> Consensus:
    """Back-project all frames into one volume, and find the solvent around it.

    Raises UserError where halves of the frames agree on nothing, or nothing rises out of the noise.
    """
    halves: list[Accumulator | None] = [None, None]
    turn = store.halves()
    mine = store.processes.share(torch.arange(len(store)))
    with progress("Consensus volume", len(mine)) as advance:
        for rows in torch.split(mine, 512):
            frames = store.frames(rows)
            for half in (0, 1):
                chosen = turn[rows] == half
                sums = accumulate(
                    frames.coefficients[chosen],
                    frames.transfer[chosen],
                    frames.rotation[chosen],
                    frames.rotation.new_zeros(int(chosen.sum()), 2),
                    torch.ones(store.lattice.radius + 1, device=store.device),
                    store.lattice,
                )
                before = halves[half]
                halves[half] = sums if before is None else before + sums
            advance(len(rows), "")
    first, second = (of_all_processes(half, store.processes) for half in halves if half is not None)
    power = signal_power([(first, second)], store.lattice.radius + 1)
    unmasked = wiener(first + second, power)
    mask = solvent_mask(unmasked.cpu(), store.pixel_size_in_angstroms).to(store.device)
    return Consensus(wiener(first + second, power, mask), mask, power)

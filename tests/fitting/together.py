"""Functions computed by several real processes at once, on the CPU: this one is the first of them."""

from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as group

from temporem.fitting.processes import Processes
from temporem.fitting.threads import one_thread

__all__ = ["together"]

Found = dict[str, torch.Tensor]


def together(count: int, function: Callable[..., Found], folder: Path, *arguments: Any) -> list[Found]:
    """What each of `count` processes finds; `function` is given who it is and a folder of its own first."""
    start = get_context("spawn")
    others = [
        start.Process(target=_other, args=(rank, count, function, folder, *arguments), daemon=True)
        for rank in range(1, count)
    ]
    for other in others:
        other.start()
    try:
        found = [_part(0, count, function, folder, *arguments)]
    finally:
        for other in others:
            other.join(60)
    assert [other.exitcode for other in others] == [0] * (count - 1)
    return found + [torch.load(folder / f"found{rank}.pt") for rank in range(1, count)]


def _other(rank: int, count: int, function: Callable[..., Found], folder: Path, *arguments: Any) -> None:
    torch.save(_part(rank, count, function, folder, *arguments), folder / f"found{rank}.pt")


def _part(rank: int, count: int, function: Callable[..., Found], folder: Path, *arguments: Any) -> Found:
    meeting = f"file://{folder / 'meeting'}"
    group.init_process_group("gloo", meeting, timedelta(seconds=60), count, rank)
    try:
        processes = Processes(rank, count, torch.device("cpu"))
        # As of those of one command: with other numbers of threads they would round otherwise.
        with one_thread():
            return function(processes, folder / str(rank), *arguments)
    finally:
        group.destroy_process_group()

"""Threads for work made of many small operations, which many cores together do hardly faster than one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch

__all__ = ["abreast", "one_thread", "spread"]

POINTS_ABREAST = 2**20
"""Voxels of all volumes at work at a time; larger ones keep the cores busy one by one, and fill memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def abreast(box_size: int, device: torch.device) -> int:
    """How many pieces of work on volumes in a box of so many pixels are done at a time."""
    if device.type != "cpu":
        return 1
    return min(torch.get_num_threads(), max(1, POINTS_ABREAST // box_size**3))


def spread(
    do: Callable[[Item], Result],
    items: Iterable[Item],
    at_once: int,
    stop: Callable[[], object] = lambda: None,
) -> Iterator[Result]:
    """do(item) of each item, in their order: `at_once` of them at a time, each on a CPU thread of its own.

    Of one at a time, each has all threads. Items are taken no earlier than there is room for them. `stop` is
    called before an error, or an interruption, waits for what is being done.
    """
    if at_once == 1:
        yield from map(do, items)
        return
    waiting: deque[Future[Result]] = deque()
    graded, coming = torch.is_grad_enabled(), iter(items)

    def work(item: Item) -> Result:
        with torch.set_grad_enabled(graded):
            return do(item)

    with one_thread(), ThreadPoolExecutor(at_once) as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(coming, at_once))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(coming, 1))
                yield result
        except BaseException:
            stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise

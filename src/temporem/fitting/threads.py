"""Threads for work made of many small operations, which many cores together do hardly faster than one."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch

__all__ = ["abreast", "go_on", "one_thread", "side_by_side"]

POINTS_ABREAST = 2**20
"""Voxels of all volumes at work at a time; larger ones keep the cores busy one by one, and fill memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")
_this = threading.local()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread within the block."""
    with _threads(1):
        yield


def abreast(box_size: int, device: torch.device, processes: int = 1) -> int:
    """How many pieces of work on volumes in a box of so many pixels are done at a time.

    One where several processes add up what each has of a piece, for they do that in one order.
    """
    if device.type != "cpu" or processes > 1:
        return 1
    return min(torch.get_num_threads(), max(1, POINTS_ABREAST // box_size**3))


def go_on() -> None:
    """Return, but raise CancelledError in work of `side_by_side` that nobody waits for any more."""
    stopped: threading.Event | None = getattr(_this, "stopped", None)
    if stopped is not None and stopped.is_set():
        raise CancelledError


def side_by_side(do: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """do(item) of each item, in their order: `at_once` of them at a time, which share the CPU's threads.

    Items are taken no earlier than there is room for them. After an error, or an interruption, what is being
    done is waited for until it ends or calls `go_on`.
    """
    if at_once == 1:
        yield from map(do, items)
        return
    waiting: deque[Future[Result]] = deque()
    graded, coming, stopped = torch.is_grad_enabled(), iter(items), threading.Event()

    def work(item: Item) -> Result:
        _this.stopped = stopped
        with torch.set_grad_enabled(graded):
            return do(item)

    with _threads(max(1, torch.get_num_threads() // at_once)), ThreadPoolExecutor(at_once) as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(coming, at_once))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(coming, 1))
                yield result
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise

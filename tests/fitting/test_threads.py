from collections.abc import Iterator
from threading import Barrier, Event

import pytest
import torch

from temporem.fitting.threads import abreast, go_on, side_by_side


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    second_done = Event()

    def do(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        if item == 1:
            second_done.set()
        return 10 * item

    assert list(side_by_side(do, range(5), 2)) == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("threads", "each"), [(1, 1), (3, 1), (7, 2)])
def test_as_many_as_asked_for_are_at_work_together_and_share_the_threads(threads: int, each: int) -> None:
    meeting = Barrier(3, timeout=10)

    def do(item: int) -> int:
        meeting.wait()
        return torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert list(side_by_side(do, range(6), 3)) == [each] * 6
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_items_are_taken_when_there_is_room_for_them() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = side_by_side(lambda item: item, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 3
    assert list(results) == list(range(1, 10))


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_error_comes_out_as_it_is_and_the_others_stop_where_they_may(at_once: int) -> None:
    begun: list[int] = []

    def do(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("lost")
        # For ever, were it not told.
        while True:
            go_on()

    with pytest.raises(ValueError, match="lost"):
        list(side_by_side(do, range(50), at_once))
    assert len(begun) <= at_once + 1


def test_work_of_nobody_else_goes_on() -> None:
    go_on()


@pytest.mark.parametrize("graded", [False, True])
def test_gradients_are_kept_where_they_are_wanted_and_nowhere_else(graded: bool) -> None:
    x = torch.ones((), requires_grad=True)
    with torch.set_grad_enabled(graded):
        results = list(side_by_side(lambda item: x * item, range(3), 2))
    assert [result.requires_grad for result in results] == [graded] * 3


def test_large_volumes_and_those_of_a_gpu_or_of_several_processes_are_done_one_by_one() -> None:
    cpu, before = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert [abreast(box, cpu) for box in (32, 64, 80, 128, 256)] == [4, 4, 2, 1, 1]
        assert abreast(64, torch.device("cuda")) == 1
        assert abreast(64, cpu, processes=2) == 1
    finally:
        torch.set_num_threads(before)

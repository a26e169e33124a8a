from collections.abc import Iterator
from threading import Barrier, Event

import pytest
import torch

from temporem.fitting.threads import abreast, spread


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    second_done = Event()

    def do(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        if item == 1:
            second_done.set()
        return 10 * item

    assert list(spread(do, range(5), 2)) == [0, 10, 20, 30, 40]


def test_as_many_as_asked_for_are_at_work_together_each_on_one_thread() -> None:
    meeting = Barrier(3, timeout=10)

    def do(item: int) -> int:
        meeting.wait()
        return torch.get_num_threads()

    before = torch.get_num_threads()
    assert list(spread(do, range(6), 3)) == [1] * 6
    assert torch.get_num_threads() == before


def test_items_are_taken_when_there_is_room_for_them() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = spread(lambda item: item, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 3
    assert list(results) == list(range(1, 10))


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_error_comes_out_as_it_is_and_the_others_are_told_to_stop(at_once: int) -> None:
    stopped, begun = Event(), []

    def do(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("lost")
        # Would wait for the whole of it, were it not told.
        assert stopped.wait(10)

    with pytest.raises(ValueError, match="lost"):
        list(spread(do, range(50), at_once, stopped.set))
    assert len(begun) <= at_once + 1


@pytest.mark.parametrize("graded", [False, True])
def test_gradients_are_kept_where_they_are_wanted_and_nowhere_else(graded: bool) -> None:
    x = torch.ones((), requires_grad=True)
    with torch.set_grad_enabled(graded):
        results = list(spread(lambda item: x * item, range(3), 2))
    assert [result.requires_grad for result in results] == [graded] * 3


def test_large_volumes_and_those_of_a_gpu_are_done_one_by_one() -> None:
    cpu, before = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert [abreast(box, cpu) for box in (32, 64, 80, 128, 256)] == [4, 4, 2, 1, 1]
        assert abreast(64, torch.device("cuda")) == 1
    finally:
        torch.set_num_threads(before)

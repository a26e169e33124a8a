from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from moving_molecule import BOX, Sample, sample
from torch import Tensor

from temporem import files
from temporem.reconstruction import cell_sums
from temporem.reconstruction.backprojection import Accumulator, accumulate, grid_shells, wiener
from temporem.reconstruction.cell_sums import CellSums

CELLS, SHELLS = 5, BOX // 2 + 1
INSIDE = grid_shells(BOX, 2) < SHELLS


@pytest.fixture(scope="module")
def data() -> Sample:
    return sample(frames=60, snr=0.3, states=CELLS)


def cell(data: Sample, weight: Tensor) -> Accumulator:
    return accumulate(data.coefficients, data.ctf, *data.pose(), weight)


def stored(data: Sample) -> CellSums:
    sums = CellSums(CELLS, BOX)
    for index in range(CELLS):
        sums.put(index, cell(data, (data.state == index).float()))
    return sums


def close(found: Accumulator, expected: Accumulator) -> None:
    for a, b in ((found.numerator, expected.numerator), (found.denominator, expected.denominator)):
        torch.testing.assert_close(a[INSIDE], b[INSIDE], rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def weights(*shape: int) -> Tensor:
    return torch.rand(*shape, CELLS, generator=torch.Generator().manual_seed(1))


def test_combined_cells_are_the_weighted_back_projection_of_their_frames(data: Sample) -> None:
    weight = weights(3)
    for row, found in zip(weight, stored(data).combined(weight), strict=True):
        close(found, cell(data, row[data.state]))


def test_weights_that_differ_between_shells_are_those_of_each_shell(data: Sample) -> None:
    near, far = weights(2)
    by_shell = torch.where(torch.arange(SHELLS) < 10, near[:, None], far[:, None])
    (found,) = stored(data).combined(by_shell[None])
    shell = grid_shells(BOX, 2)
    for weight, here in ((near, shell < 10), (far, (shell >= 10) & INSIDE)):
        expected = cell(data, weight[data.state])
        for a, b in ((found.numerator, expected.numerator), (found.denominator, expected.denominator)):
            torch.testing.assert_close(a[here], b[here], rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def test_outside_the_ball_nothing_is_kept_and_no_volume_is_the_worse(data: Sample) -> None:
    weight = weights(1)
    (found,) = stored(data).combined(weight)
    expected = cell(data, weight[0][data.state])
    assert not found.denominator[~INSIDE].any()
    assert expected.denominator[~INSIDE].any()
    power = torch.linspace(2, 1, SHELLS)
    torch.testing.assert_close(wiener(found, power), wiener(expected, power), atol=1e-5, rtol=1e-4)


def test_streamed_from_a_file_and_in_parts_they_are_the_same(
    data: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = weights(4)
    expected = list(stored(data).combined(weight))
    made: list[npt.NDArray[Any]] = []

    def room_for(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        made.append(files.room_for(shape, dtype))
        return made[-1]

    monkeypatch.setattr(cell_sums, "room_for", room_for)
    monkeypatch.setattr(files, "BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr(cell_sums, "BYTES_AT_ONCE", 1000)
    found = list(stored(data).combined(weight))
    assert [(type(room), room.shape[:2]) for room in made] == [(np.memmap, (3, CELLS))]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.numerator, b.numerator)
        torch.testing.assert_close(a.denominator, b.denominator)

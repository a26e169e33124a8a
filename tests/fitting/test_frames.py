import numpy as np
import pytest
import torch
from blob_movies import Molecule, blob_store, optics, store_of, swinging

from temporem import files
from temporem.fitting import frames
from temporem.fitting.frames import FrameStore
from temporem.physics.ctf import contrast_transfer_function
from temporem.physics.rotations import random_rotations

BOX = 16


@pytest.fixture(scope="module")
def ragged() -> FrameStore:
    """Three movies of 4, 2 and 1 frames, in mixed order; the first lacks frame 2, times in half units."""
    movie = np.array([1, 0, 0, 2, 0, 1, 0])
    time = np.array([1.0, 2.0, 0.0, 5.0, 0.5, 0.5, 1.5])
    rotation = random_rotations(7, torch.Generator().manual_seed(0)).float()
    return store_of(torch.randn(7, BOX, BOX), rotation, movie, time, 1.0)


def test_rows_come_in_order_of_time_with_intervals_in_usual_ones(ragged: FrameStore) -> None:
    batch = ragged.movies(torch.tensor([1, 0, 2]))
    assert ragged.usual_interval == 0.5
    assert batch.rows.tolist() == [5, 0, 2, 4, 6, 1, 3]
    inf = torch.inf
    assert batch.interval.tolist() == [[inf, 1, inf, inf], [inf, 1, 2, 1], [inf, inf, inf, inf]]
    assert batch.mask.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]


def test_padding_puts_frames_in_their_places(ragged: FrameStore) -> None:
    batch = ragged.movies(torch.tensor([1, 0]))
    assert batch.pad(batch.rows[:, None].float())[..., 0].tolist() == [[5, 0, 0, 0], [2, 4, 6, 1]]


@pytest.mark.parametrize("frames_per_batch", [1, 3, 5, 100])
def test_an_epoch_has_every_frame_once(ragged: FrameStore, frames_per_batch: int) -> None:
    for generator in (None, torch.Generator().manual_seed(frames_per_batch)):
        batches = list(ragged.epoch(frames_per_batch, generator))
        assert sorted(row for batch in batches for row in batch.rows.tolist()) == list(range(7))
        for batch in batches:
            assert len(batch.rows) <= frames_per_batch or len(batch.mask) == 1


def test_the_order_of_an_epoch_is_the_generators(ragged: FrameStore) -> None:
    def order(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [batch.rows.tolist() for _ in range(4) for batch in ragged.epoch(1, generator)]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert order(0)[:3] != order(0)[3:6] or order(0)[:3] != order(0)[6:9]


def test_movies_of_one_frame_have_no_interval() -> None:
    rotation = torch.eye(3).expand(3, 3, 3)
    store = store_of(torch.randn(3, BOX, BOX), rotation, np.arange(3), np.zeros(3), 1.0)
    assert store.usual_interval == 1.0
    assert torch.isinf(store.movies(torch.arange(3)).interval).all()


def test_frames_are_whitened_centred_slices_times_transfer() -> None:
    """Without noise, X = transfer · slice: the slice is that of the same pose unshifted, without CTF."""
    generator = torch.Generator().manual_seed(0)
    count = 5
    rotation = random_rotations(count, generator).float()
    shift = torch.randn(count, 2, generator=generator)
    state = torch.zeros(count)
    molecule = Molecule(BOX)
    ctf = optics(count, generator)
    shifted, centred = (molecule.images(state, rotation, x) for x in (shift, 0 * shift))
    variance = 0.5 + torch.arange(BOX // 2 + 1)
    store = store_of(shifted, rotation, np.zeros(count, int), np.arange(count) * 1.0, variance, shift, ctf)
    disc = store.lattice
    frames = store.frames(torch.arange(count))
    transfer = contrast_transfer_function(ctf, disc.frequency / (BOX * 6.0))
    sd = variance[disc.shell].sqrt()
    # The image was not multiplied by the CTF: its slice is what the whitened coefficients are.
    torch.testing.assert_close(frames.coefficients * sd, disc.from_images(centred), atol=2e-3, rtol=0)
    torch.testing.assert_close(frames.transfer * sd, transfer)
    torch.testing.assert_close(frames.rotation, rotation)
    one = store.frames(torch.tensor([3]))
    assert torch.equal(one.coefficients[0], frames.coefficients[3])


def test_frames_from_temporary_files_are_those_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    count = 9
    images, rotation = torch.randn(count, BOX, BOX, generator=generator), torch.eye(3).expand(count, 3, 3)
    given = (images, rotation, np.arange(count) // 3, np.arange(count) % 3 * 1.0, 2.0)
    contrast_transfer = optics(count, generator)
    expected = store_of(*given, contrast_transfer=contrast_transfer).frames(torch.tensor([7, 0, 4]))
    made = []
    monkeypatch.setattr(files, "BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(np, "memmap", lambda *a, memmap=np.memmap, **o: made.append(1) or memmap(*a, **o))
    store = store_of(*given, contrast_transfer=contrast_transfer)
    assert made
    found = store.frames(torch.tensor([7, 0, 4]))
    assert torch.equal(found.coefficients, expected.coefficients)
    assert torch.equal(found.transfer, expected.transfer)


def test_the_leading_coefficients_can_be_read_alone(ragged: FrameStore) -> None:
    rows = torch.tensor([5, 1])
    whole, part = ragged.frames(rows), ragged.frames(rows, 20)
    assert part.coefficients.shape == part.transfer.shape == (2, 20)
    torch.testing.assert_close(part.coefficients, whole.coefficients[:, :20], rtol=0, atol=1e-6)
    torch.testing.assert_close(part.transfer, whole.transfer[:, :20], rtol=0, atol=0)


def test_whitened_noise_has_variance_one_in_every_shell() -> None:
    generator = torch.Generator().manual_seed(0)
    count = 400
    noise = 3.0 * torch.randn(count, BOX, BOX, generator=generator)
    rotation = torch.eye(3).expand(count, 3, 3)
    store = store_of(noise, rotation, np.zeros(count, int), np.arange(count) * 1.0, 9.0)
    power = store.frames(torch.arange(count)).coefficients.abs().square().mean(0)
    for shell in range(1, BOX // 2):
        assert float(power[store.lattice.shell == shell].mean()) == pytest.approx(1, rel=0.08)


def test_some_movies_alone_are_a_store_of_their_own(ragged: FrameStore) -> None:
    part = ragged.only([2, 0]).only([1, 0])
    assert len(part) == 5
    assert part.usual_interval == ragged.usual_interval
    batch, same = part.movies(torch.tensor([0, 1])), ragged.movies(torch.tensor([0, 2]))
    assert sorted(batch.rows.tolist()) == list(range(5))
    torch.testing.assert_close(batch.interval, same.interval)
    found, expected = part.frames(batch.rows), ragged.frames(same.rows)
    torch.testing.assert_close(found.coefficients, expected.coefficients)
    torch.testing.assert_close(found.rotation, expected.rotation)


def test_halves_share_no_movie(ragged: FrameStore) -> None:
    # Movies 0, 1 and 2 have rows (2, 4, 6, 1), (5, 0) and (3).
    halves = ragged.halves().tolist()
    assert [halves[row] for row in (2, 4, 6, 1, 5, 0, 3)] == [0, 0, 0, 0, 1, 1, 0]


def test_each_batch_is_read_ahead_while_the_one_before_is_computed_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = blob_store(swinging(6, 5), 16)
    asked: list[tuple[list[int], int]] = []
    monkeypatch.setattr(frames, "read_ahead", lambda array, rows, size: asked.append((list(rows), size)))
    seen = []
    for batch in store.epoch(10, torch.Generator().manual_seed(0), count=7):
        assert all(sorted(rows) != sorted(batch.rows.tolist()) for rows, _ in asked[-1:])
        seen.append(sorted(batch.rows.tolist()))
    of_coefficients = [sorted(rows) for rows, size in asked if size == 7 * 8]
    assert of_coefficients == [*seen[1:], []]

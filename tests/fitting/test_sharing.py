"""Several processes find what one finds, but for rounding; and all of them the same, to the last bit."""

import math
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from blob_movies import Molecule, silent, store_of, swinging
from shortened import shorten
from together import Found, together

from temporem.fitting.consensus import find_consensus
from temporem.fitting.deformation import fit_deformation
from temporem.fitting.deformation_options import DeformationOptions, Stage
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out.choosing import judge
from temporem.fitting.linear import find_states, find_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.processes import ALONE, Processes
from temporem.fitting.stages import posterior_of
from temporem.fitting.trainer import Trainer
from temporem.fitting.warm_start import warm_start
from temporem.model.batches import FrameBatch
from temporem.physics.rotations import random_rotations

LENGTHS = (9, 5, 8, 1, 9, 3, 8, 7)
"""Frames of each movie."""
NETWORKS = FittingOptions(latent_dim=2, epochs=4, width=16, layers=1, device="cpu", frames_per_batch=12)
"""Of some batches there is one movie, and nothing for a second process."""
EPOCHS, STOP = 3, 2
ROUNDING = {
    "power": 1e-5,
    "volume": 1e-6,
    "relaxation": 1e-5,
    "state": 1e-5,
    "anchor": 1e-6,
    "score": 1e-5,
    "moving": 1e-3,
    "network": 1e-4,
    "taken up": 1e-4,
}
"""How far apart what begins with that word may be, relative to its largest value, or to 0.1. Adam turns the
rounding of a gradient near zero into a part of its step, and the climb of a motion makes it grow."""


def close(ours: torch.Tensor, theirs: torch.Tensor, what: str) -> bool:
    return float((ours - theirs).abs().max()) <= ROUNDING[what] * max(0.1, float(theirs.abs().max()))


def ragged(processes: Processes = ALONE) -> FrameStore:
    """Movies of the molecule, of unequal length, without CTF and shifts."""
    random = torch.Generator().manual_seed(5)
    movie = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    time = np.concatenate([np.arange(length) for length in LENGTHS]).astype(float)
    state = swinging(len(LENGTHS), max(LENGTHS))[movie, time.astype(int)]
    rotation = random_rotations(len(state), random).float()
    clean = Molecule(16).images(state, rotation, torch.zeros(len(state), 2))
    noise = float(clean.std()) / math.sqrt(2)
    images = clean + noise * torch.randn(clean.shape, generator=random)
    store = store_of(images, rotation, movie, time, noise**2)
    store.processes = processes
    return store


READ: Counter[str] = Counter()
"""How many rows this process has read of frames."""


class StoppedError(Exception):
    """As if by Ctrl-C."""


def train(store: FrameStore, folder: Path, stop: int | None = None) -> Found:
    """A training, stopped after so many epochs, or taken up where the folder has a checkpoint."""
    consensus, random = find_consensus(store), torch.Generator().manual_seed(1)
    start = warm_start(store, consensus, NETWORKS, None, True, random)
    random = torch.Generator().manual_seed(2)
    trainer = Trainer(start.model, store, NETWORKS, EPOCHS, "temporal", folder, random)
    losses, before = [], READ.total()

    def record(terms: dict[str, float]) -> None:
        losses.append(terms["loss"])
        if len(losses) == stop:
            raise StoppedError

    try:
        trainer.run(record, silent)
    except StoppedError:
        return {}
    rows_read = torch.tensor(READ.total() - before)
    mean, sd = posterior_of(start.model.eval(), store, NETWORKS)
    parameters = {name: x.detach() for name, x in start.model.named_parameters()}
    return parameters | {
        "losses": torch.tensor(losses),
        "mean": mean,
        "sd": sd,
        # Of the numbers drawn, none depend on who draws them.
        "random": random.get_state(),
        "rows read": rows_read,
    }


def everything(processes: Processes, folder: Path, begun_by_one: Path) -> Found:
    """What the reductions of a fit give: each key begins with a word of `ROUNDING`."""
    store, random = ragged(processes), torch.Generator().manual_seed(0)
    before = READ.total()
    consensus = find_consensus(store)
    found = {"volume": consensus.volume, "power": consensus.signal_power}
    found["consensus rows read"] = torch.tensor(READ.total() - before)
    before = READ.total()
    states = find_states(store, consensus, 2, True, None, False, random)
    found["states rows read"] = torch.tensor(READ.total() - before)
    found |= {"state": states.posterior.mean, "state covariance": states.posterior.covariance}
    assert states.relaxation_time is not None
    found["relaxation"] = states.relaxation_time
    anchored = find_volumes(store, states, consensus, 0)
    found["anchor volumes"] = anchored.generator.volumes_at_anchors
    judged = judge(store, consensus.volume, 0)
    assert judged is not None
    scores = judged.scores.by_dimension
    found["score"] = torch.tensor([score.nats_per_frame for score in scores.values()])
    options = DeformationOptions(stages=(Stage(30.0, 2),), modes=4, width=16, frames_per_batch=12, solves=2)
    z = states.posterior.mean / states.posterior.mean.std(0)
    told = (z, consensus.volume, consensus.mask, consensus.signal_power, options, 0, None, silent)
    before = READ.total()
    deformed = fit_deformation(store, *told, lambda terms: None, left_out=[1, 2])
    assert deformed.positive is not None
    found["moving density's score"] = torch.tensor(deformed.positive.halved.gain)
    found["density rows read"] = torch.tensor(READ.total() - before)
    found |= {"moving density": deformed.generator.amplitude, "moving states": deformed.states.mean}
    found |= {f"network {name}": x for name, x in train(store, folder / "whole").items()}
    train(store, folder / "stopped", STOP)
    shutil.copytree(begun_by_one, folder / "taken up")
    found |= {f"taken up {name}": x for name, x in train(store, folder / "taken up").items()}
    one = store.only([0])
    states = find_states(one, consensus, 1, True, None, False, random)
    return found | {"state of one movie": states.posterior.mean}


def shortened(processes: Processes, folder: Path, begun_by_one: Path) -> Found:
    frames = FrameStore.frames

    def counted(store: FrameStore, rows: torch.Tensor, count: int | None = None) -> FrameBatch:
        READ["rows"] += len(rows)
        return frames(store, rows, count)

    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        patch.setattr(FrameStore, "frames", counted)
        return everything(processes, folder, begun_by_one)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def by_one(folder: Path) -> Found:
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        train(ragged(), folder / "begun", STOP)
    return shortened(ALONE, folder / "one", folder / "begun")


@pytest.fixture(scope="module")
def by_two(folder: Path, by_one: Found) -> list[Found]:
    return together(2, shortened, folder, folder / "begun")


@pytest.mark.parametrize("what", ROUNDING)
def test_two_processes_find_what_one_finds(by_one: Found, by_two: list[Found], what: str) -> None:
    names = [name for name in by_one if name.startswith(what)]
    assert names
    for name in names:
        ours, theirs = by_two[0][name], by_one[name]
        if name.endswith("random"):
            assert torch.equal(ours, theirs)
        elif not name.endswith("rows read"):
            assert close(ours, theirs, what), name


def test_both_processes_find_the_same_to_the_last_bit(by_two: list[Found]) -> None:
    first, second = by_two
    assert first.keys() == second.keys()
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert [name for name in differing if not name.endswith("rows read")] == []


def test_each_process_reads_its_share_of_the_frames(by_one: Found, by_two: list[Found]) -> None:
    names = [name for name in by_one if name.endswith("rows read")]
    assert len(names) == 5
    for name in names:
        first, second = (int(found[name]) for found in by_two)
        assert first + second == int(by_one[name]), name
        # Movies are never divided, and some batches here have one.
        assert min(first, second) > (0.1 if "network" in name or "taken" in name else 0.4) * (first + second)


def test_what_was_begun_by_one_and_taken_up_is_as_not_stopped(by_one: Found) -> None:
    names = [name.removeprefix("network ") for name in by_one if name.startswith("network ")]
    names.remove("rows read")
    assert all(torch.equal(by_one[f"network {name}"], by_one[f"taken up {name}"]) for name in names)


def test_one_process_takes_up_what_two_have_begun(folder: Path, by_one: Found, by_two: list[Found]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        found = train(ragged(), folder / "0" / "stopped")
    del found["rows read"]
    assert all(close(ours, by_one[f"network {name}"], "network") for name, ours in found.items())


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_row_is_in_one_share(count: int) -> None:
    for rows in (torch.arange(0), torch.arange(5), torch.arange(10, 31)):
        shares = [Processes(rank, count).share(rows) for rank in range(count)]
        assert torch.equal(torch.cat(shares).sort().values, rows)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 11])
def test_every_movie_of_a_batch_is_in_one_share_and_stays_whole(count: int) -> None:
    batch = ragged().movies(torch.tensor([4, 1, 3, 7, 5]))
    values = torch.randn(len(batch.rows), 2)
    padded = batch.pad(values)
    shares = [Processes(rank, count).share_of(batch) for rank in range(count)]
    assert torch.equal(torch.cat([share.rows for share in shares]).sort().values, batch.rows.sort().values)
    of_row = torch.zeros(sum(LENGTHS), 2)
    of_row[batch.rows] = values
    for rank, share in enumerate(shares):
        assert torch.equal(share.pad(of_row[share.rows]), padded[rank::count])
        assert torch.equal(share.interval, batch.interval[rank::count])


def sums(processes: Processes, folder: Path) -> Found:
    at, rank = torch.full((2, 3), 1.0 + processes.rank), processes.rank
    shared, mine = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    shared.grad = torch.tensor([1.0, 10.0]) * (rank + 1)
    if rank == 0:
        mine.grad = torch.ones(3)
    processes.sum_gradients([shared, mine])
    assert shared.grad is not None
    assert mine.grad is not None
    rows = torch.arange(7) * 10
    return {
        "summed": processes.summed(at.clone()),
        "of a view": processes.summed(torch.arange(6.0).reshape(2, 3).T),
        "complex": processes.summed(torch.complex(at, 2 * at)),
        "of first": processes.of_first(at + 5),
        "shared": shared.grad,
        "mine": mine.grad,
        "whole": processes.whole(processes.share(rows), len(rows)),
    }


def test_sums_are_over_all_processes(tmp_path: Path) -> None:
    ones = torch.ones(2, 3)
    expected = {
        "summed": 3 * ones,
        "of a view": 2 * torch.arange(6.0).reshape(2, 3).T,
        "complex": torch.complex(3 * ones, 6 * ones),
        "of first": 6 * ones,
        "shared": torch.tensor([3.0, 30.0]),
        "mine": torch.ones(3),
        "whole": torch.arange(7) * 10,
    }
    for found in together(2, sums, tmp_path):
        for name, value in expected.items():
            assert torch.equal(found[name], value), name

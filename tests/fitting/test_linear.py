"""The linear method: its answer, its run folder, and that tempor shows it first."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blob_movies import Molecule, blob_store, swinging, write_movies
from torch import Tensor

from temporem.fitting import encoder_start, linear, trainer, warm_start
from temporem.fitting.consensus import Consensus, find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.held_out import subspace as held_out
from temporem.fitting.linear import LinearStates, find_states, find_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.smoothing import smooth
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run

BOX = 16
OPTIONS = FittingOptions(latent_dim=2, device="cpu", method="linear", width=16, layers=1, epochs=2)


@pytest.fixture(autouse=True)
def judged_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "FIRST_EPOCHS", 2)
    monkeypatch.setattr(held_out, "TIMED_EPOCHS", 1)


@cache
def found() -> tuple[FrameStore, Tensor, Consensus, LinearStates]:
    state = swinging(16, 16)
    store = blob_store(state, BOX, snr=0.5)
    consensus = find_consensus(store)
    generator = torch.Generator().manual_seed(0)
    return store, state.flatten(), consensus, find_states(store, consensus, 2, True, None, False, generator)


def fit(star: Path, output: Path, resume: bool = False, first: Any = None, **options: Any) -> Run:
    fitting = replace(OPTIONS, **options)
    return reconstruct(star, output, ReadingOptions(), PreprocessingOptions(), fitting, resume, first)


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movies(tmp_path_factory.mktemp("movies"), swinging(6, 8), snr=2.0)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x.flatten(1) - x.flatten(1).mean(-1, keepdim=True) for x in (a, b))
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


def test_the_states_tell_the_true_ones_and_their_deviations_are_honest() -> None:
    _, truth, _, states = found()
    mean = states.posterior.mean.double()
    # The arm turns, so the state is a curve in the latent plane.
    known = torch.stack([mean[:, 0] ** i * mean[:, 1] ** j for i in range(4) for j in range(4 - i)], dim=1)
    residual = truth.double() - known @ torch.linalg.lstsq(known, truth.double()[:, None]).solution[:, 0]
    assert 1 - float(residual.var() / truth.var()) > 0.85
    deviation = states.posterior.covariance.diagonal(dim1=1, dim2=2).sqrt()
    assert ((deviation > 0) & (deviation < 1)).all()


def test_states_are_those_of_one_smoothing_over_whole_movies() -> None:
    store, _, _, states = found()
    (batch,) = store.epoch(10**6)
    frames = store.frames(batch.rows)
    told = states.subspace.information(frames.coefficients, frames.transfer, frames.rotation, store.lattice)
    exact = smooth(
        batch.pad(told.matrix), batch.pad(told.vector), batch.interval, states.relaxation_time, batch.mask
    )
    torch.testing.assert_close(
        states.posterior.mean[batch.rows], exact.mean[batch.mask], atol=2e-3, rtol=1e-3
    )


def test_volumes_along_the_states_are_those_of_the_states() -> None:
    store, truth, consensus, states = found()
    generator = find_volumes(store, states, consensus, 0).generator
    rows = torch.arange(0, len(store), 5)
    true = Molecule(BOX).volumes(truth[rows])
    ours = correlation(generator.volumes(states.posterior.mean[rows]) * consensus.mask, true)
    blurred = correlation(consensus.volume.expand_as(true), true)
    assert ours.mean() > blurred.mean() + 0.03


def test_the_soft_edge_is_left_to_whoever_writes_volumes() -> None:
    """A mask laid on in the fit and again on the way out would have its edge squared."""
    store, _, consensus, states = found()
    generator = find_volumes(store, states, consensus, 0).generator
    outside, edge, inner = (
        generator.volumes_at_anchors[:, (consensus.mask >= low) & (consensus.mask < high)]
        for low, high in ((0.0, 1e-3), (2e-3, 0.1), (0.4, 0.9))
    )
    assert (outside == 0).all()
    # There is nothing but noise, as much of it everywhere; under the mask it would be a tenth.
    assert edge.std() > 0.4 * inner.std()


def test_a_whole_run_without_networks(star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "Trainer", None)
    run = fit(star, tmp_path / "run")
    assert isinstance(run.generator(), AnchorGenerator)
    assert not run.checkpoints_path.exists()
    latents = run.latents()
    assert latent_columns(latents) == ["z1", "z2"]
    assert ((latents[["sd1", "sd2"]] > 0) & (latents[["sd1", "sd2"]] < 1)).to_numpy().all()
    records = run.metrics()
    epochs = linear.FIRST_EPOCHS + linear.MORE_EPOCHS
    assert [record["epoch"] for record in records] == list(range(1, epochs + 1))
    assert records[-1]["negative_log_likelihood"] < records[0]["negative_log_likelihood"]
    facts = run.config["found"]
    assert run.config["answer_of"] == "linear"
    assert facts["anchors"] == len(run.generator().anchors)
    assert facts["bandwidth"] > 0
    assert len(facts["relaxation_times"]) == 2
    ((_, volume),) = run.volumes([3])
    z = torch.from_numpy(latents.loc[[3], ["z1", "z2"]].to_numpy(np.float32))
    expected = run.generator().volumes(z)[0] * run.mask() * run.config["image_scale"]
    torch.testing.assert_close(volume, expected)


def test_tempor_shows_the_linear_answer_first(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in (warm_start, encoder_start):
        monkeypatch.setattr(owner, "STEPS", 3)
    alone = fit(star, tmp_path / "alone")
    seen: list[str] = []

    def look(run: Run) -> None:
        assert not run.checkpoints_path.exists()
        assert run.config["answer_of"] == "linear"
        assert len(list(run.volumes([0, 1]))) == 2
        seen.append((run.path / "latents.csv").read_text())

    whole = fit(star, tmp_path / "whole", first=look, method="tempor")
    assert seen == [(alone.path / "latents.csv").read_text()]
    assert (whole.path / "latents.csv").read_text() != seen[0]
    assert whole.config["answer_of"] == "tempor"
    assert len(whole.config["found"]["relaxation_times"]) == 2
    # Taken up again, it has an answer of the networks to show, and no need of the first one.
    fit(star, tmp_path / "whole", True, look, method="tempor")
    assert len(seen) == 1


def test_other_methods_have_no_first_answer(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in (warm_start, encoder_start):
        monkeypatch.setattr(owner, "STEPS", 3)

    def refuse(run: Run) -> None:
        raise AssertionError("nobody should be told")

    fit(star, tmp_path / "linear", first=refuse)
    fit(star, tmp_path / "baseline", first=refuse, method="cryodrgn")


def test_resumed_it_is_computed_anew_to_the_same_result(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(star, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(linear, "fit_anchors", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(star, tmp_path / "run")
    run = fit(star, tmp_path / "run", resume=True)
    assert (run.path / "latents.csv").read_bytes() == (whole.path / "latents.csv").read_bytes()
    ours, theirs = (x.generator().volumes_at_anchors for x in (run, whole))
    assert torch.equal(ours, theirs)
    assert len(run.metrics()) == len(whole.metrics())


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt

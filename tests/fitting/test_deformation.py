"""A known motion is found, a still molecule stays still, and an interrupted fit ends as a whole one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blob_movies import Molecule, blob_store, silent, swinging, write_movies

from temporem.errors import UserError
from temporem.fitting import deformation, linear
from temporem.fitting.deformable import deformation_facts
from temporem.fitting.deformation import Deformed, fit_deformation
from temporem.fitting.deformation_choice import Choice, choose, left_out
from temporem.fitting.deformation_options import DeformationOptions, Stage, passes
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.deformable_generator import DeformableGenerator
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run

BOX = 16
OPTIONS = DeformationOptions(stages=(Stage(24.0, 4), Stage(0.0, 4)), frames_per_batch=40, solves=3)


def fit(
    state: torch.Tensor,
    z: torch.Tensor,
    folder: Path | None = None,
    record: Callable[[dict[str, Any]], object] = lambda _: None,
    arm_vanishes: bool = False,
    options: DeformationOptions = OPTIONS,
    left_out: Sequence[int] = (),
    advance: Callable[[int, str], None] = silent,
) -> Deformed:
    store = blob_store(state, BOX, snr=2.0, arm_vanishes=arm_vanishes)
    volume = Molecule(BOX, arm_vanishes).volumes(torch.tensor([0.5]))[0]
    # In the scale of images: a volume's voxels sum to its projection's.
    power = torch.full((BOX // 2 + 1,), 0.05)
    mask = torch.ones(BOX, BOX, BOX)
    told = (store, z, volume, mask, power, options, 0, folder, advance, record)
    return fit_deformation(*told, left_out=left_out)


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(np.corrcoef(first.flatten().numpy(), second.flatten().numpy())[0, 1])


def test_a_known_motion_is_found() -> None:
    state = swinging(16, 10)
    noisy = state.reshape(-1, 1) + 0.1 * torch.randn(160, 1, generator=torch.Generator().manual_seed(1))
    found = fit(state, (noisy - noisy.mean()) / noisy.std())
    assert abs(correlation(found.states.mean, state)) > abs(correlation(noisy, state))
    rows = [0, 3, 5]
    true = Molecule(BOX).volumes(state.flatten()[rows])
    volumes = found.generator.volumes(found.states.mean[rows])
    still = volumes.mean(0)
    for volume, truth in zip(volumes, true, strict=True):
        assert correlation(volume, truth) > 0.93
        assert correlation(volume, truth) > correlation(still, truth)
    assert deformation_facts(found)["appearing_share_of_mass"] < 0.05
    inside = found.generator.amplitude > 0.1 * found.generator.amplitude.max()
    assert found.generator.volume_changes(found.states.mean)[:, inside].min() > 0


def test_density_that_vanishes_is_found() -> None:
    state = swinging(16, 10)
    z = (state.reshape(-1, 1) - state.mean()) / state.std()
    found = fit(state, z, arm_vanishes=True, options=replace(OPTIONS, frames_per_batch=10))
    rows = state.flatten().sort().indices[[0, 80, -1]]
    true = Molecule(BOX, True).volumes(state.flatten()[rows])
    for volume, truth in zip(found.generator.volumes(found.states.mean[rows]), true, strict=True):
        assert correlation(volume, truth) > 0.95
    # Three of eight atoms of one mass are gone in the end, less what the penalty costs.
    mass = found.generator.amplitudes(found.states.mean[rows]).sum(1).tolist()
    assert 5 / 8 < mass[2] / mass[0] < 7 / 8
    assert deformation_facts(found)["appearing_share_of_mass"] > 0.05


def test_a_stopped_fit_ends_as_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = swinging(4, 6)
    z = (state.reshape(-1, 1) - state.mean()) / state.std()
    told: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    whole = fit(state, z, record=told.append)
    with monkeypatch.context() as patch:
        patch.setattr(deformation, "solve_density", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(state, z, tmp_path)
    resumed = fit(state, z, tmp_path, again.append)
    assert torch.equal(resumed.states.mean, whole.states.mean)
    assert torch.equal(resumed.generator.amplitude, whole.generator.amplitude)
    for record in (*told, *again):
        del record["seconds"]
    assert again == told


def test_positive_points_are_chosen_and_all_movies_solved_for_on_them(tmp_path: Path) -> None:
    state = swinging(16, 10)
    z = (state.reshape(-1, 1) - state.mean()) / state.std()
    steps: list[int] = []
    free = fit(state, z)
    found = fit(state, z, tmp_path, left_out=[3, 7, 11], advance=lambda count, note: steps.append(count))
    assert free.positive is None
    assert found.positive is not None
    # Blobs are positive, and what is negative between them is noise.
    assert found.positive.taken
    assert len(found.generator.points) < 0.8 * len(free.generator.points)
    assert sum(steps) == passes(OPTIONS, True)
    support = found.positive.support
    assert len(found.generator.points) == int((support > 0).sum())
    again = fit(state, z, tmp_path, left_out=[3, 7, 11])
    assert torch.equal(again.generator.amplitude, found.generator.amplitude)


def test_a_checkpoint_of_other_options_is_not_taken_up(tmp_path: Path) -> None:
    state = swinging(4, 6)
    z = (state.reshape(-1, 1) - state.mean()) / state.std()
    fit(state, z, tmp_path)
    with pytest.raises(UserError, match="of another version"):
        fit(state, z, tmp_path, options=replace(OPTIONS, rigidity=1.0))


def test_every_pass_is_told_and_the_likelihood_climbs() -> None:
    told: list[dict[str, Any]] = []
    state = swinging(4, 6)
    fit(state, (state.reshape(-1, 1) - state.mean()) / state.std(), record=told.append)
    assert [x["epoch"] for x in told] == list(range(1, 9))
    finest = [x["negative_log_likelihood"] for x in told[4:]]
    assert finest[-1] < finest[0]
    assert all(x["rigidity_prior"] >= 0 and x["folding_prior"] >= 0 for x in told)


def test_folds_are_undone_before_the_density_is_solved_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def unfold(generator: DeformableGenerator, z: torch.Tensor, *_: object) -> float:
        told.append(f"unfolded in {len(z)} states")
        return 1.0

    monkeypatch.setattr(deformation, "unfold", unfold)
    state = swinging(4, 6)
    z = (state.reshape(-1, 1) - state.mean()) / state.std()
    fit(state, z, advance=lambda _, note: told.append(note))
    assert told.index("unfolded in 24 states") < told.index("density")
    fit(state, z, options=replace(OPTIONS, solves=0))
    assert told.count("unfolded in 24 states") == 1


def stop(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "FIRST_EPOCHS", 2)
    star = write_movies(tmp_path / "movies", swinging(4, 6), snr=2.0)
    options = FittingOptions(latent_dim=2, device="cpu", generator="deformable")
    answers: list[str] = []

    def first(run: Run) -> None:
        answers.append(run.config["answer_of"])

    run = reconstruct(
        star, tmp_path / "run", ReadingOptions(), PreprocessingOptions(), options, first_answer=first
    )
    assert answers == ["linear"]
    assert run.config["answer_of"] == "deformable"
    assert run.config["found"]["least_volume_change"] > 0
    ((row, volume),) = run.volumes([3])
    assert row == 3
    assert volume.isfinite().all()


def test_goes_with_whole_movies_only() -> None:
    with pytest.raises(UserError, match="--generator deformable"):
        FittingOptions(method="cryodrgn", generator="deformable").check()


def test_left_out_movies_choose_the_better_generator() -> None:
    """Against a generator that knows nothing, the mean volume wins by what it explains; turned round, it
    loses as much."""
    state = swinging(20, 4)
    store = blob_store(state, BOX, snr=2.0)
    z = torch.zeros(80, 1)
    mean = AnchorGenerator(BOX, 1, 1)
    mean.fill(Molecule(BOX).volumes(state.flatten()).mean(0))
    nothing = AnchorGenerator(BOX, 1, 1)
    movies = left_out(20)
    assert movies == [5, 15]
    choice = choose(movies, (store, mean, z), (store, nothing, z))
    assert choice.taken
    assert choice.gain > 5 * choice.standard_error
    other = choose(movies, (store, nothing, z), (store, mean, z))
    assert not other.taken
    assert other.gain == pytest.approx(-choice.gain)
    assert "stays" in other.in_words()


@pytest.mark.parametrize(("gain", "taken"), [(2.0, True), (-1.5, True), (-2.5, False)])
def test_averages_stay_only_where_they_win_beyond_doubt(gain: float, taken: bool) -> None:
    assert Choice(gain, standard_error=1.0).taken is taken


def test_few_movies_are_all_fitted() -> None:
    assert left_out(19) == []

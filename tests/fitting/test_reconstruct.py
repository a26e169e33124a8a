"""The main job end to end on tiny movies, and what it says when it cannot be done."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from blob_movies import swinging, write_movies

from temporem.errors import UserError
from temporem.fitting import encoder_start, linear, stages, warm_start
from temporem.fitting import reconstruct as module
from temporem.fitting.held_out import subspace as held_out
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run

TINY = FittingOptions(latent_dim=2, epochs=4, width=16, layers=1, device="cpu")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module_, name, value in (
        (linear, "FIRST_EPOCHS", 3),
        (linear, "MORE_EPOCHS", 2),
        (held_out, "FIRST_EPOCHS", 2),
        (held_out, "TIMED_EPOCHS", 1),
        (warm_start, "STEPS", 5),
        (encoder_start, "STEPS", 5),
    ):
        monkeypatch.setattr(module_, name, value)


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movies(tmp_path_factory.mktemp("movies"), swinging(4, 6))


def fit(star: Path, output: Path, resume: bool = False, **options: Any) -> Run:
    fitting = replace(TINY, **options)
    return reconstruct(star, output, ReadingOptions(), PreprocessingOptions(), fitting, resume)


def check_run(run: Run, frames: int) -> None:
    """What every run holds: finite latents, losses and volumes."""
    latents = run.latents()
    assert len(latents) == frames
    numbers = latents[[c for c in latents if c.startswith(("z", "sd"))]].to_numpy()
    assert np.isfinite(numbers).all()
    for record in run.metrics():
        assert np.isfinite(record["negative_log_likelihood" if record["stage"] == "linear" else "loss"])
    (_, first), (_, last) = run.volumes([0, frames - 1])
    assert first.isfinite().all()
    assert last.isfinite().all()
    assert first.std() > 0
    assert len(pd.read_csv(run.path / "latents.csv")) == frames
    assert run.poses_path.is_file()


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({}, ["temporal"] * 4),
        ({"prior": "standard"}, ["temporal"] * 4),
        ({"prior": "gated"}, ["temporal"] * 4),
        ({"features": "image"}, ["temporal"] * 4),
        ({"explicit": False}, ["temporal"] * 4),
        ({"explicit": False, "features": "image"}, ["temporal"] * 4),
        ({"encoding": "positional", "beta": 0.0, "coefficients_per_step": 1.0, "epochs": 3,
          "pretraining": True},
         ["baseline", "temporal", "temporal"]),
        ({"pretraining": True}, ["baseline"] * 2 + ["temporal"] * 2),
        ({"pretraining": True, "explicit": False, "features": "image"}, ["baseline"] * 2 + ["temporal"] * 2),
        ({"smoothing": False}, ["temporal"] * 4),
        ({"smoothing": False, "features": "image"}, ["temporal"] * 4),
        ({"method": "cryodrgn"}, ["baseline"] * 4),
        ({"method": "cryodrgn", "features": "image"}, ["baseline"] * 4),
        ({"method": "linear"}, []),
    ],
    ids=str,
)  # fmt: skip
def test_every_choice_gives_a_whole_run(
    star: Path, tmp_path: Path, options: dict[str, Any], stages: list[str]
) -> None:
    run = fit(star, tmp_path / "run", **options)
    check_run(run, 24)
    first = [] if options.get("method") == "cryodrgn" else ["linear"] * (3 + 2)
    assert [record["stage"] for record in run.metrics()] == first + stages
    config = json.loads((run.path / "config.json").read_text())
    assert config["frames"] == 24
    assert config["movies"] == 4
    assert config["fitting"]["latent_dim"] == 2


@pytest.mark.parametrize(
    ("state", "box", "with_ctf"),
    [
        (swinging(4, 6), 16, False),
        (torch.full((4, 6), 0.3), 16, True),
        (swinging(2, 6), 24, True),
        (swinging(1, 14), 16, False),
        (swinging(12, 2), 16, True),
        (torch.tensor([[0.0] * 8, [1.0] * 8]), 16, False),
    ],
    ids=["no CTF", "static", "two movies", "one movie", "movies of two frames", "movies share no state"],
)
def test_every_kind_of_data_gives_a_whole_run(
    tmp_path: Path, state: torch.Tensor, box: int, with_ctf: bool
) -> None:
    star = write_movies(tmp_path / "movies", state, box, with_ctf=with_ctf, snr=2.0)
    check_run(fit(star, tmp_path / "run"), state.numel())


def test_the_seed_decides(star: Path, tmp_path: Path) -> None:
    texts = [
        (fit(star, tmp_path / str(i), seed=seed).path / "latents.csv").read_text()
        for i, seed in enumerate((3, 3, 4))
    ]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_the_global_generator_neither_matters_nor_moves(star: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = fit(star, tmp_path / "a", method="cryodrgn").latents()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = fit(star, tmp_path / "b", method="cryodrgn").latents()
    assert torch.equal(torch.get_rng_state(), before)
    pd.testing.assert_frame_equal(first, second)


def test_movies_without_poses_are_refused(tmp_path: Path) -> None:
    star = write_movies(tmp_path / "movies", swinging(2, 3), with_poses=False)
    with pytest.raises(UserError, match="holds no poses"):
        fit(star, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_too_small_to_tell_a_shape_are_refused(tmp_path: Path) -> None:
    star = write_movies(tmp_path / "movies", swinging(2, 3), box=12)
    with pytest.raises(UserError, match="box of 12 pixels is too small"):
        fit(star, tmp_path / "run")


def test_noise_alone_ends_in_a_sentence(tmp_path: Path) -> None:
    star = write_movies(tmp_path / "movies", swinging(3, 4), snr=1e-9)
    with pytest.raises(UserError, match="there is no particle"):
        fit(star, tmp_path / "run")


def test_a_folder_in_use_is_refused_before_any_work(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(star, tmp_path / "run", method="cryodrgn", epochs=2)
    monkeypatch.setattr(module, "prepare_frames", None)
    with pytest.raises(UserError, match="already holds a run"):
        fit(star, tmp_path / "run", method="cryodrgn", epochs=2)


def test_a_device_that_is_not_there_is_refused(star: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--device cuda:99 is not there"):
        fit(star, tmp_path / "run", device="cuda:99")


def test_a_lost_likelihood_ends_in_a_sentence(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "FIRST_RATE", 1e25)
    with pytest.raises(UserError, match="likelihood of the linear subspace became"):
        fit(star, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent_dim": 3}, "another choice of --latent-dim:"),
        ({"seed": 1, "explicit": False}, "another choice of --seed, --explicit:"),
    ],
)
def test_resuming_with_other_options_names_them(
    star: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    fit(star, tmp_path / "run", epochs=2)
    before = contents(tmp_path / "run")
    with pytest.raises(UserError, match=words):
        fit(star, tmp_path / "run", resume=True, **{"epochs": 2} | change)
    assert contents(tmp_path / "run") == before


def test_resuming_with_other_reading_or_movies_names_them(star: Path, tmp_path: Path) -> None:
    fit(star, tmp_path / "run", epochs=2)
    fitting = replace(TINY, epochs=2)
    with pytest.raises(UserError, match="another choice of --pixel-size:"):
        reconstruct(
            star, tmp_path / "run", ReadingOptions(pixel_size=6.0), PreprocessingOptions(), fitting, True
        )
    with pytest.raises(UserError, match="another choice of --sign:"):
        reconstruct(
            star, tmp_path / "run", ReadingOptions(), PreprocessingOptions(sign="bright"), fitting, True
        )
    other = write_movies(tmp_path / "other", swinging(4, 6))
    with pytest.raises(UserError, match="another choice of the movies"):
        fit(other, tmp_path / "run", resume=True, epochs=2)


def test_resuming_on_movies_that_changed_is_refused(tmp_path: Path) -> None:
    star = write_movies(tmp_path / "movies", swinging(4, 6))
    fit(star, tmp_path / "run", epochs=2)
    write_movies(tmp_path / "movies", swinging(4, 5))
    with pytest.raises(UserError, match="begun with 24 frames, but there are 20 now"):
        fit(star, tmp_path / "run", resume=True, epochs=2)


def test_resuming_on_other_images_or_poses_is_refused(tmp_path: Path) -> None:
    star = write_movies(tmp_path / "movies", swinging(4, 6))
    fit(star, tmp_path / "run", method="linear")
    write_movies(tmp_path / "movies", swinging(4, 6), seed=1)
    with pytest.raises(UserError, match=r"images, times, poses or CTFs of .* have changed"):
        fit(star, tmp_path / "run", resume=True, method="linear")
    write_movies(tmp_path / "movies", swinging(4, 6))
    fit(star, tmp_path / "run", resume=True, method="linear")


def test_large_boxes_are_said_to_be_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    star = write_movies(tmp_path / "movies", swinging(3, 4), box=24, snr=2.0)
    fit(star, tmp_path / "small", method="linear")
    assert "--box" not in capsys.readouterr().err
    monkeypatch.setattr(module, "LARGE_BOX", 20)
    monkeypatch.setattr(module, "HANDY_BOX", 16)
    fit(star, tmp_path / "large", method="linear")
    assert "whole box of 24 pixels is fitted; with --box 16" in capsys.readouterr().err
    options = replace(TINY, method="linear")
    run = reconstruct(
        star, tmp_path / "cropped", ReadingOptions(), PreprocessingOptions(box=16), options, False
    )
    assert "--box" not in capsys.readouterr().err
    assert run.config["box_size"] == 16


def test_resuming_what_is_no_run_is_refused(star: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        fit(star, tmp_path / "nothing", resume=True)


def test_resuming_a_finished_run_changes_nothing(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(star, tmp_path / "run")
    before = contents(tmp_path / "run")
    monkeypatch.setattr("sys.argv", ["temporem", "reconstruct", "--resume"])
    monkeypatch.setattr(stages, "warm_start", None)
    fit(star, tmp_path / "run", resume=True)
    after = contents(tmp_path / "run")
    assert after.keys() == before.keys()
    # MRC headers carry the date.
    assert [name for name in before if before[name] != after[name] and name.suffix != ".mrc"] == []


@pytest.mark.parametrize("name", ["temporal-start", "temporal"])
def test_a_checkpoint_of_another_version_is_refused(
    star: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(star, tmp_path / "run")
    from temporem.fitting.checkpoints import load_checkpoint, save_checkpoint

    folder = tmp_path / "run" / "checkpoints"
    tensors, facts = load_checkpoint(folder, name)
    save_checkpoint(folder, name, {"of": torch.zeros(1)}, {"another": "time"})
    with pytest.raises(UserError, match=f"{name}.json is of another version"):
        fit(star, tmp_path / "run", resume=True)
    save_checkpoint(folder, name, tensors, facts)
    fit(star, tmp_path / "run", resume=True)


def contents(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

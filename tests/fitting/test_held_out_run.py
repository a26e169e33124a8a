"""What a run says of itself: whether anything moves, and the latent dimension it chose."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from blob_movies import swinging, write_movies

from temporem.errors import UserError
from temporem.fitting import encoder_start, warm_start
from temporem.fitting import reconstruct as module
from temporem.fitting.held_out import subspace
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run

AUTO = FittingOptions(latent_dim="auto", method="linear", device="cpu")
MOVIES, FRAMES = 24, 8


def fit(star: Path, output: Path, options: FittingOptions = AUTO, resume: bool = False) -> Run:
    return reconstruct(star, output, ReadingOptions(), PreprocessingOptions(), options, resume)


def test_moving_movies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phase = torch.linspace(0, 2 * math.pi, MOVIES + 1)[:-1, None]
    state = 0.5 + 0.5 * torch.sin(phase + torch.arange(FRAMES) * 2 * math.pi / 32)
    run = fit(write_movies(tmp_path, state), tmp_path / "run")
    held_out, dimension = run.config["held_out"], run.config["latent_dim"]
    assert held_out["motion_found"] is True
    assert dimension == held_out["best_latent_dim"]
    assert len([name for name in run.latents() if name.startswith("z")]) == dimension
    assert held_out["of_volumes"]["nats_per_frame"] > 2 * held_out["of_volumes"]["standard_error"]
    said = capsys.readouterr().err
    for sentence in (held_out["motion"], held_out["time"], held_out["of_volumes"]["volumes"]):
        assert sentence in said.replace("\n", " ")


def test_static_movies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fit(write_movies(tmp_path, torch.full((MOVIES, FRAMES), 0.4)), tmp_path / "run")
    assert run.config["held_out"]["motion_found"] is False
    assert "No motion found" in capsys.readouterr().err


def test_a_resumed_run_keeps_the_dimension_it_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    star = write_movies(tmp_path, swinging(4, 6))
    options = replace(AUTO, method="tempor", epochs=2, width=8, layers=1)
    for part, name in ((subspace, "FIRST_EPOCHS"), (warm_start, "STEPS"), (encoder_start, "STEPS")):
        monkeypatch.setattr(part, name, 2)
    finish = module._finish

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_finish", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(star, tmp_path / "run", options)
    chosen = Run.open(tmp_path / "run").config["latent_dim"]
    monkeypatch.setattr(module, "_finish", finish)
    monkeypatch.setattr(module, "judge", lambda *_: pytest.fail("judged twice"))
    run = fit(star, tmp_path / "run", options, resume=True)
    assert run.config["latent_dim"] == chosen
    assert run.config["fitting"]["latent_dim"] == "auto"


def test_too_few_movies_are_not_judged(tmp_path: Path) -> None:
    star = write_movies(tmp_path, swinging(3, 8))
    run = fit(star, tmp_path / "run")
    assert run.config["held_out"] == {}
    assert run.config["latent_dim"] == module.UNSCORED_DIMENSION


def test_a_dimension_not_chosen_is_no_number() -> None:
    with pytest.raises(ValueError, match="yet to be chosen"):
        _ = AUTO.dimensions
    with pytest.raises(UserError, match="auto, or from 1 to 64"):
        replace(AUTO, latent_dim=0).check()

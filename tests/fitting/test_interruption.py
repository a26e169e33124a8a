"""A run stopped anywhere and resumed ends as if it had not been stopped, to the last bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from blob_movies import swinging, write_movies
from safetensors.torch import load_file
from shortened import shorten, stop_after

from temporem.errors import UserError
from temporem.fitting import encoder_start, linear, stages, trainer, warm_start
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run

TINY = FittingOptions(
    latent_dim=2, epochs=6, pretraining=True, width=16, layers=1, device="cpu", frames_per_batch=9
)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movies(tmp_path_factory.mktemp("movies"), swinging(4, 6), snr=2.0)


@pytest.fixture(scope="module")
def whole(star: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        return fit(star, tmp_path_factory.mktemp("whole") / "run", False)


def fit(star: Path, output: Path, resume: bool) -> Run:
    return reconstruct(star, output, ReadingOptions(), PreprocessingOptions(), TINY, resume)


def facts(run: Run) -> tuple[str, list[dict[str, Any]]]:
    metrics = [{k: v for k, v in record.items() if k != "seconds"} for record in run.metrics()]
    return (run.path / "latents.csv").read_text(), metrics


def check_same(run: Run, whole: Run) -> None:
    assert facts(run) == facts(whole)
    ours, theirs = (load_file(r.model_path / "generator.safetensors") for r in (run, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    kept = sorted(path.name.split(".")[0] for path in run.checkpoints_path.glob("*.safetensors"))
    assert kept == ["baseline", "baseline-start", "temporal", "temporal-start"]


# 4 movies of 6 frames in batches of 9 are 4 steps an epoch, 3 epochs a stage: steps 0–11 and 12–23.
@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [
        (trainer, "elbo", 2),
        (trainer, "elbo", 6),
        (trainer, "save_checkpoint", 1),
        (Run, "append_metrics", 1),
        (Run, "write_latents", 0),
        (Run, "append_metrics", 3),
        (stages, "_started", 1),
        (linear, "fit_subspace", 1),
        (linear, "fit_subspace", 2),
        (warm_start, "start_encoder", 1),
        (stages, "save_checkpoint", 1),
        (trainer, "elbo", 12),
        (trainer, "elbo", 18),
        (Run, "append_metrics", 6),
        (Run, "write_latents", 1),
    ],
    ids=[
        "baseline, first epoch",
        "baseline, second epoch",
        "baseline, while saving",
        "first answer, in the subspace",
        "first answer, before it is written",
        "baseline, after saving",
        "between stages",
        "first warm start",
        "second warm start",
        "second encoder's start",
        "after the second warm start",
        "temporal, first step",
        "temporal, second epoch",
        "temporal, after saving",
        "before the latents are written",
    ],
)
def test_stopped_and_resumed_is_as_not_stopped(
    star: Path, whole: Run, tmp_path: Path, owner: Any, name: str, calls: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        stop_after(patch, owner, name, calls)
        with pytest.raises(KeyboardInterrupt):
            fit(star, tmp_path / "run", False)
    check_same(fit(star, tmp_path / "run", True), whole)


def test_stopped_many_times(star: Path, whole: Run, tmp_path: Path) -> None:
    resume = False
    for owner, name, calls in (
        (encoder_start, "path_divergence", 2),
        (trainer, "elbo", 5),
        (trainer, "elbo", 3),
        (linear, "fit_anchors", 0),
        (trainer, "elbo", 7),
        (trainer, "elbo", 2),
    ):
        with pytest.MonkeyPatch.context() as patch:
            shorten(patch)
            stop_after(patch, owner, name, calls)
            with pytest.raises(KeyboardInterrupt):
                fit(star, tmp_path / "run", resume)
        resume = True
    check_same(fit(star, tmp_path / "run", True), whole)


def test_half_a_line_of_metrics_is_made_whole(star: Path, whole: Run, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        stop_after(patch, trainer, "elbo", 18)
        with pytest.raises(KeyboardInterrupt):
            fit(star, tmp_path / "run", False)
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text(path.read_text()[:-30])
    check_same(fit(star, tmp_path / "run", True), whole)


def test_a_loss_that_is_lost_keeps_the_last_good_epoch(star: Path, whole: Run, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        function, done = trainer.elbo, 0

        def lost(*arguments: Any) -> Any:
            nonlocal done
            done += 1
            bound = function(*arguments)
            return type(bound)(bound.log_likelihood * (torch.nan if done == 6 else 1), bound.divergence)

        patch.setattr(trainer, "elbo", lost)
        with pytest.raises(UserError, match=r"loss in epoch 2 of the stage 'baseline' became nan: the state"):
            fit(star, tmp_path / "run", False)
    check_same(fit(star, tmp_path / "run", True), whole)


def test_a_gradient_that_is_lost_is_not_saved(star: Path, whole: Run, tmp_path: Path) -> None:
    """The loss of an epoch's last step is finite, its gradient not: found before the weights are spoilt."""
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        function, done = trainer.elbo, 0

        def lost(*arguments: Any) -> Any:
            nonlocal done
            done += 1
            bound = function(*arguments)
            if done == 8:
                zero = bound.log_likelihood - bound.log_likelihood.detach()
                # Worth 0, with an infinite slope.
                bound = type(bound)(bound.log_likelihood - zero.sqrt(), bound.divergence)
            return bound

        patch.setattr(trainer, "elbo", lost)
        with pytest.raises(UserError, match=r"gradient in epoch 2 of the stage 'baseline' became"):
            fit(star, tmp_path / "run", False)
    check_same(fit(star, tmp_path / "run", True), whole)

"""A run against its null, from scores that are known."""

import json
import math
from pathlib import Path

import pytest

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.evaluation.null import judge_against_null, pairs_with_null
from temporem.reconstruction.run import Run


def run_with(path: Path, nats: float, error: float, null: str | None = None, movies: str = "a.star") -> Run:
    scores = {
        str(d): {"nats_per_frame": nats * d, "standard_error": error, "frames": 9, "movies": 3}
        for d in (1, 2)
    }
    held_out = {"best_latent_dim": 2, "by_latent_dim": scores}
    config = {"input": movies, "reading": {"null": null}, "frames": 9, "held_out": held_out}
    return Run.create(path, config)


@pytest.mark.parametrize(("theirs", "mattered"), [(1.0, True), (2.4, True), (2.6, False), (4.0, False)])
def test_the_gain_is_the_difference_and_its_error_adds_in_squares(
    tmp_path: Path, theirs: float, mattered: bool
) -> None:
    run, null = run_with(tmp_path / "run", 3.0, 0.3), run_with(tmp_path / "null", theirs, 0.4, "shuffle")
    verdict = judge_against_null(run, null)
    assert verdict.gain == pytest.approx(2 * (3.0 - theirs))
    assert verdict.standard_error == pytest.approx(math.hypot(0.3, 0.4))
    assert verdict.time_mattered is mattered
    assert json.loads((run.path / "null.json").read_text())["sentence"] == verdict.sentence


def test_pairs_are_of_the_same_movies(tmp_path: Path) -> None:
    run, null = run_with(tmp_path / "run", 3.0, 0.3), run_with(tmp_path / "null", 1.0, 0.3, "shuffle")
    other = run_with(tmp_path / "other", 1.0, 0.3, "shuffle", movies="b.star")
    assert pairs_with_null([null, other, run]) == [(run, null)]


def test_without_scores_there_is_no_verdict(tmp_path: Path) -> None:
    run, null = run_with(tmp_path / "run", 3.0, 0.3), run_with(tmp_path / "null", 1.0, 0.3, "shuffle")
    null.update_config(held_out={})
    with pytest.raises(UserError, match="held no frames out"):
        judge_against_null(run, null)


def test_one_run_alone_is_still_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with(tmp_path / "run", 3.0, 0.3)
    assert main(["compare", str(run.path), "-o", str(tmp_path / "out")]) == 2
    assert "holds no evaluation" in capsys.readouterr().err

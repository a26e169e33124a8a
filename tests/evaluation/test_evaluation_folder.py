import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from blobs import BlobTruth, in_order

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.evaluation.compared_runs import compared_with
from temporem.evaluation.evaluation_folder import read_evaluation, write_evaluation
from temporem.evaluation.scoring import evaluate_volumes, scorer_of
from temporem.reconstruction.run import Run

TRUTH = BlobTruth(in_order(4, 5))
ROWS = list(range(20))


def write_scores(folder: Path, noise: float, rows: list[int] = ROWS) -> Path:
    """Scores of the true volumes with white noise, of this share of their standard deviation."""
    random = torch.Generator().manual_seed(0)
    scorer = scorer_of(TRUTH)
    volumes = (TRUTH.volume(np.asarray([row]))[0] for row in rows)
    noisy = (x + noise * x.std() * torch.randn(x.shape, generator=random) for x in volumes)
    write_evaluation(folder, {"run": evaluate_volumes(noisy, rows, TRUTH, scorer)}, TRUTH, scorer)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scores")
    return [
        write_scores(folder / "ours", 1.0),
        write_scores(folder / "theirs" / "evaluation", 4.0, ROWS[::2]),
    ]


def test_what_is_written_is_read_again(folders: list[Path]) -> None:
    evaluation = read_evaluation(folders[1].parent)
    assert list(evaluation.frames.index) == ROWS[::2]
    assert list(evaluation.frames["movie"].unique()) == ["m0", "m1", "m2", "m3"]
    mean = pd.read_csv(folders[1] / "fsc.csv").query("mask == 'moving'")["fsc"].to_numpy()
    np.testing.assert_allclose(evaluation.fsc["moving"].mean(axis=0)[1:], mean, atol=1e-6)


@pytest.mark.parametrize("name", ["evaluation.json", "frames.csv", "fsc_per_frame.npz"])
def test_a_damaged_folder_is_said_to_be(name: str, tmp_path: Path) -> None:
    folder = write_scores(tmp_path / "evaluation", 1.0, ROWS[:2])
    (folder / name).write_bytes(b"\0 nothing of use")
    with pytest.raises(UserError, match=r"cannot be read .* run temporem evaluate again"):
        read_evaluation(folder)


def test_compare_leaves_a_page_with_tables_and_figures(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    runs = [str(folders[0]), str(folders[1])]
    assert main(["compare", *runs, "-o", str(out), "--draws", "50"]) == 0
    printed = capsys.readouterr().out
    assert str(out / "comparison.html") in printed
    assert "ours: Better than theirs where the molecule moves: " in printed
    assert "in the mean of 10 frames" in printed
    assert ", 10 of them finer, PSNR" in printed
    summary = json.loads((out / "comparison.json").read_text())
    assert list(summary["runs"]) == ["ours", "theirs"]
    assert summary["against"] == "theirs"
    assert summary["improvement"]["ours"]["moving"]["at_half"]["fraction_improved"]["value"] == 1.0
    frames = pd.read_csv(out / "frames.csv")
    assert len(frames) == 2 * len(ROWS[::2])
    assert {x.name for x in out.iterdir()} >= {
        f"{figure}.{suffix}" for figure in ("fsc", "resolution", "improvement") for suffix in ("png", "svg")
    }
    page = (out / "comparison.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "100% better" in page
    mean = summary["runs"]["ours"]["moving"]["resolution_in_angstroms"]["mean_over_frames"]
    assert f"{mean['value']:.2f} [{mean['low']:.2f}, {mean['high']:.2f}]" in page


def test_compare_refreshes_the_reports_of_runs_and_says_which_is_a_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed: list[Run] = []
    monkeypatch.setattr("temporem.cli.compare.write_report", refreshed.append)
    for name, noise, null in (("run", 1.0, None), ("shuffled", 4.0, "shuffle")):
        # Of other inputs, so that they are no pair.
        Run.create(tmp_path / name, {"input": name, "reading": {"null": null}})
        write_scores(tmp_path / name / "evaluation", noise, ROWS[:4])
    out = tmp_path / "out"
    runs = [str(tmp_path / name) for name in ("run", "shuffled")]
    assert main(["compare", *runs, "-o", str(out), "--draws", "10"]) == 0
    assert [run.path.name for run in refreshed] == ["run", "shuffled"]
    assert all(len(compared_with(run)) == 1 for run in refreshed)
    page = (out / "comparison.html").read_text()
    assert "shuffled: This run is a null" in page
    assert "run: This run is a null" not in page


def test_a_negative_seed_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(tmp_path / "a"), str(tmp_path / "b")]
    for command in (["compare", *runs], ["halves", runs[0]]):
        assert main([*command, "--seed", "-1"]) == 2
        assert "--seed is -1, but must be from 0 to 2³² − 1" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_commands_look_at_their_output_before_they_work(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for command in (
        ["compare", str(folders[0]), str(folders[1]), "-o", str(file)],
        ["evaluate", str(tmp_path), "--truth", str(tmp_path), "-o", str(file / "deeper")],
    ):
        assert main(command) == 2
        assert f"{file} is a file, not a folder" in " ".join(capsys.readouterr().err.split())

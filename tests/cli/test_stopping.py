from collections.abc import Callable
from pathlib import Path

import pytest

from temporem.cli.main import main
from temporem.reconstruction.run import Run


def test_ctrl_c_says_that_all_is_saved_and_how_to_go_on(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_: Path, output: Path, *__: object, **___: object) -> None:
        output.mkdir()
        (output / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("temporem.cli.reconstruct.fit", stopped)
    assert main(["reconstruct", str(star), "-o", str(tmp_path / "my run")]) == 130
    said = capsys.readouterr().err
    assert "saved" in said
    assert "--resume" in said
    assert f"'{tmp_path / 'my run'}'" in said


def test_ctrl_c_before_there_is_a_run_does_not_speak_of_resuming(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("temporem.cli.reconstruct.fit", stopped)
    assert main(["reconstruct", str(star), "-o", str(tmp_path / "run")]) == 130
    said = capsys.readouterr().err
    assert "repeat the command" in said
    assert "--resume" not in said


def test_a_full_disk_in_the_middle_of_a_fit_is_one_sentence(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "run" / "latents.csv"))

    monkeypatch.setattr("temporem.cli.reconstruct.fit", full)
    assert main(["reconstruct", str(star), "-o", str(tmp_path / "run")]) == 2
    assert "latents.csv" in capsys.readouterr().err


def test_the_first_answer_has_a_report_while_the_networks_train(
    star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reported: list[Run] = []

    def training(*arguments: object, **_: object) -> None:
        run = Run.create(tmp_path / "run", {})
        show = arguments[-1]
        assert isinstance(show, Callable)
        show(run)
        assert reported == [run]
        raise KeyboardInterrupt

    monkeypatch.setattr("temporem.cli.reconstruct.fit", training)
    monkeypatch.setattr(
        "temporem.cli.reconstruct.write_report", lambda run: reported.append(run) or run.path / "report.html"
    )
    assert main(["reconstruct", str(star), "-o", str(tmp_path / "run")]) == 130
    assert "linear method's answer is in" in capsys.readouterr().err

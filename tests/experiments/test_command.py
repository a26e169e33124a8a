import re
from pathlib import Path

import pytest
import tiny

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.experiments import reproduce as module
from temporem.experiments import running
from temporem.experiments.declared import figure_names
from temporem.experiments.structures import Structures


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Two figures of the tiny catalogue, whose steps succeed without doing anything; the words called."""
    called: list[list[str]] = []

    def call(words: list[str], log: Path) -> int:
        called.append(list(words))
        return 0

    monkeypatch.setattr(running.Processes, "__call__", lambda _, words, log: call(words, log))
    monkeypatch.setattr(module, "read_catalogue", tiny.catalogue)
    monkeypatch.setattr(module, "read_figure", lambda name, _: tiny.figure())
    return called


def test_figures_that_cannot_be_drawn_do_not_stop_the_others(
    declared: list[list[str]], structures: Structures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def draw(*_: object) -> None:
        drawn.append(1)
        raise UserError("no pen")

    monkeypatch.setattr(module, "write_figure_folder", draw)
    problems = module.reproduce_figures(["one", "two"], "small", tmp_path, structures)
    assert problems == ["figure: no pen"] * 2
    assert len(drawn) == 2
    assert [x[0] for x in declared] == ["simulate"] + ["reconstruct", "evaluate"] * 2


def test_data_only_makes_the_movies_of_the_seeds_asked_for(
    declared: list[list[str]], structures: Structures, tmp_path: Path
) -> None:
    module.reproduce_figures(["one"], "small", tmp_path, structures, seeds=(3, 5), only="data")
    assert [x[0] for x in declared] == ["simulate"] * 2
    assert [x[x.index("--seed") + 1] for x in declared] == ["3", "5"]


def test_pictures_only_computes_nothing_and_without_anything_computed_leaves_what_is_there(
    declared: list[list[str]], structures: Structures, tmp_path: Path
) -> None:
    (problem,) = module.reproduce_figures(["one"], "small", tmp_path, structures, only="pictures")
    assert "figure: nothing of it was computed" in problem
    assert declared == []
    assert not (tmp_path / "figure").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--peer", "nowhere"), "nowhere is no folder"),
        (("--seeds", "1", "1"), "a seed twice"),
        (("--seeds", "-1"), "--seed is -1"),
        (("--jobs", "0"), "--jobs 0"),
    ],
)
def test_what_is_wrong_ends_in_a_sentence_before_anything_is_computed(
    words: tuple[str, ...],
    said: str,
    declared: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert main(["reproduce", "fig3", "-o", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
    assert declared == []


def test_the_help_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "--help"]) == 0
    told = re.findall(r"\w+", capsys.readouterr().out)
    assert [name for name in figure_names() if name not in told] == []


def test_an_unknown_figure_ends_in_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["reproduce", "fig2", "-o", str(tmp_path)]) == 2
    assert "no figure 'fig2': choose one of fig3" in capsys.readouterr().err


def test_results_before_any_figure_end_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["reproduce", "results", "-o", str(tmp_path)]) == 2
    assert "holds no figure" in capsys.readouterr().err


@pytest.mark.parametrize("content", ['{"name": ', '{"name": "fig3"}'])
def test_a_figure_that_cannot_be_read_ends_in_a_sentence(
    content: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "fig3").mkdir()
    (tmp_path / "fig3" / "figure.json").write_text(content)
    assert main(["reproduce", "results", "-o", str(tmp_path)]) == 2
    assert "run temporem reproduce fig3 again" in capsys.readouterr().err

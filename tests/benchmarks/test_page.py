"""The page of benchmarks, section by section."""

import sys
from pathlib import Path

import pytest
from benchmark_scripts import load_benchmark

page = load_benchmark("page")
DOC = "Its title.\n\n    python benchmarks/some.py\n\nWhat it does.\n\nAnd how.\n"


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "argv", ["benchmarks/some.py", str(tmp_path / "movies"), "--epochs", "3"])
    path = tmp_path / "benchmarks.md"
    page.publish(path, "First", DOC, "| a |\n")
    page.publish(path, "First and more", DOC, "| b |\n")
    page.publish(path, "Third", DOC, "| c |\n")
    return path


def test_a_section_takes_the_place_of_the_one_before_and_leaves_the_others(docs: Path) -> None:
    before = docs.read_text()
    page.publish(docs, "First", DOC, "| new, with a backslash \\1 |\n")
    after = docs.read_text()
    assert after == before.replace("| a |", "| new, with a backslash \\1 |")
    assert after.count("\n## ") == 3


def test_a_section_says_how_it_was_made_and_by_what(docs: Path) -> None:
    text = docs.read_text()
    assert "python benchmarks/some.py movies --epochs 3" in text
    assert str(docs.parent) not in text
    assert "cores" in text


def test_without_a_page_it_is_only_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.publish(None, "Anything", DOC, "| a |")
    assert capsys.readouterr().out == "What it does.\n\nAnd how.\n\n| a |\n"
    assert not list(tmp_path.iterdir())

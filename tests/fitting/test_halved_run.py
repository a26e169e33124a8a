"""A small run, halved from end to end."""

import json
from pathlib import Path

import pytest
from blob_movies import swinging, write_movies

from temporem.cli.main import main
from temporem.reconstruction.run import Run


@pytest.mark.external
def test_a_small_run_is_halved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    star = write_movies(tmp_path / "movies", swinging(8, 6), snr=2.0)
    run = tmp_path / "run"
    assert main(["reconstruct", str(star), "-o", str(run), "--method", "linear"]) == 0
    assert main(["halves", str(run), "--frames", "12"]) == 0
    assert "fitted apart, agree" in capsys.readouterr().out
    seen = [set(Run.open(run / "halves" / half).latents()["movie"]) for half in ("first", "second")]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == set(Run.open(run).latents()["movie"])
    seeds = [Run.open(run / "halves" / half).config["fitting"]["seed"] for half in ("first", "second")]
    assert seeds[0] != seeds[1]
    assert "Halves of the movies" in (run / "report.html").read_text()
    summary = json.loads((run / "halves" / "halves.json").read_text())
    assert summary["resolution_in_angstroms"]["corrected"]["mean_over_frames"] < 40
    # Halves that are there are not fitted again, and the same halves give the same figures.
    before = (run / "halves" / "first" / "latents.csv").stat().st_mtime_ns
    assert main(["halves", str(run), "--frames", "12"]) == 0
    assert (run / "halves" / "first" / "latents.csv").stat().st_mtime_ns == before
    assert json.loads((run / "halves" / "halves.json").read_text()) == summary
    assert main(["halves", str(run / "halves" / "first")]) == 2
    assert "run of half of the movies" in capsys.readouterr().err

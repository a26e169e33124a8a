"""Kinetics in the report, from tables as `temporem kinetics` writes them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.reconstruction.run import Run
from temporem.report.kinetics_figures import kinetics_section, write_kinetics_figures
from temporem.report.report import write_report


def pretend_kinetics(folder: Path, states: int = 2) -> None:
    """The files of an analysis that found so many states, with made-up figures."""
    folder.mkdir(parents=True)
    numbers = range(1, states + 1)
    stay = {"interval": [3.1, None], "stays": 40, "ends_seen": 30}
    summary = {
        "time_unit": "frames",
        "states": states,
        "median_movie_time": 9.0,
        "occupancy": [{"state": k, "share": 1 / states, "interval": [0.3, 0.7]} for k in numbers],
        "mean_dwell_time": [{"state": k, "mean": 4.2, **stay} for k in numbers],
        "relaxation_time": 2.345,
        "relaxation_time_interval": [1.9, None],
        "prior_relaxation_times": [8.0, 3.0],
        "doubts": ["Rates < 1 are guesses."],
    }
    (folder / "kinetics.json").write_text(json.dumps(summary))
    moves = [(i, j) for i in numbers for j in numbers if i != j]
    rates = [{"from": i, "to": j, "rate": 0.123, "low": 0.1, "high": 0.2} for i, j in moves]
    seen = [{"transitions_expected": 12.0 if abs(i - j) == 1 else 0.1} for i, j in moves]
    pd.DataFrame([a | b for a, b in zip(rates, seen, strict=True)]).to_csv(folder / "rates.csv", index=False)
    step = np.tile(np.arange(9), 4)
    columns = {"image": np.arange(36), "movie": np.repeat(["a", "b", "c", "d"], 9), "step": step}
    columns |= {"time_from_first_frame": step, "state": step % states + 1}
    pd.DataFrame(columns).to_csv(folder / "states.csv", index=False)
    curve = [
        {"state": k, "time": t, "survival": 0.8**t, "standard_error": 0.05} for k in numbers for t in range(6)
    ]
    pd.DataFrame(curve).to_csv(folder / "survival.csv", index=False)
    scales = [{"lag": x, "time_scale": 4.0, "low": 3.0, "high": 5.0} for x in (1, 2, 3)]
    pd.DataFrame(scales).to_csv(folder / "implied_timescales.csv", index=False)


@pytest.mark.parametrize("into_run", [True, False])
def test_the_page_is_pointed_to_where_it_shows_the_kinetics(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    into_run: bool,
) -> None:
    monkeypatch.setattr(
        "temporem.cli.kinetics.measure_kinetics", lambda run, folder, options: {"states": 2, "doubts": []}
    )
    monkeypatch.setattr("temporem.cli.kinetics.write_kinetics_figures", lambda folder: None)
    monkeypatch.setattr("temporem.cli.kinetics.write_report", lambda run: run.path / "report.html")
    folder = run.path / "kinetics" if into_run else tmp_path / "elsewhere"
    assert main(["kinetics", str(run.path), "-o", str(folder)]) == 0
    told = capsys.readouterr().out
    assert folder.name in told
    assert ("report.html" in told) == into_run


def test_the_report_tells_rates_stays_and_doubts(run: Run) -> None:
    pretend_kinetics(run.path / "kinetics", states=3)
    page = write_report(run).read_text(encoding="utf-8")
    assert "<td>0.123 (0.1 to 0.2)</td>" in page
    assert "Rates &lt; 1 are guesses." in page
    assert "4.2 (3.1 to ∞)" in page
    assert "30 of 40" in page
    assert "2.35 frames (1.9 to ∞)" in page
    assert "learned 8, 3 frames" in page
    # What was never seen is counted, not listed.
    assert "1 → 3" not in page
    assert "other 2 kinds of transition are not seen" in page


def test_one_state_has_no_rates_to_show(tmp_path: Path) -> None:
    pretend_kinetics(tmp_path / "kinetics", states=1)
    text = kinetics_section(tmp_path / "kinetics")
    assert "transition" not in text
    assert "relaxation" not in text


def test_figures_are_files_of_both_kinds(tmp_path: Path) -> None:
    pretend_kinetics(tmp_path / "kinetics")
    write_kinetics_figures(tmp_path / "kinetics")
    written = {x.name for x in (tmp_path / "kinetics").glob("*.*g")}
    for name in ("state_paths", "dwell_times", "implied_time_scales"):
        assert {f"{name}.png", f"{name}.svg"} <= written


def test_a_damaged_analysis_is_a_sentence(tmp_path: Path) -> None:
    pretend_kinetics(tmp_path / "kinetics")
    (tmp_path / "kinetics" / "kinetics.json").write_text("{}")
    with pytest.raises(UserError, match="run temporem kinetics again"):
        kinetics_section(tmp_path / "kinetics")

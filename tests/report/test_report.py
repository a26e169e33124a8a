import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporem.cli.main import main
from temporem.errors import UserError
from temporem.reconstruction.run import Run
from temporem.report.evaluation_figures import write_evaluation_figures
from temporem.report.report import write_report

VOID = {"meta", "img", "br", "input", "use", "path", "rect", "image"}


class Balanced(HTMLParser):
    """Collects what a browser would see: text, ids, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v is not None]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v is not None]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(page: Path) -> Balanced:
    parser = Balanced()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.open == []
    return parser


def pretend_evaluation(folder: Path) -> None:
    """The files `temporem evaluate` writes, with made-up figures."""
    masks, methods = ("whole", "molecule", "moving"), ("run", "consensus", "clock")
    resolution = {"mean_over_frames": 8.0, "of_mean_curve": 7.5}
    facts = {x: {"resolution_in_angstroms": resolution} for x in masks}
    summary = {
        "masks": dict.fromkeys(masks),
        "methods": {x: {**facts, "frames": 10, "psnr_in_decibels": 30.0, "ssim": 0.9} for x in methods},
        "latent_agreement": {
            "linear_r_squared": 0.9123,
            "neighbour_r_squared": 0.95,
            "spearman": 0.9,
            "median_error": 3.25,
        },
        "value_unit": "degrees",
    }
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps(summary))
    shell = np.arange(1, 13)
    curve = {"shell": shell, "resolution_in_angstroms": 72 / shell, "fsc": np.exp(-shell / 6)}
    band = {"fsc_10th_percentile": curve["fsc"] - 0.1, "fsc_90th_percentile": curve["fsc"] + 0.1}
    tables = [pd.DataFrame({"method": x, "mask": y, **curve, **band}) for x in methods for y in masks]
    pd.concat(tables).to_csv(folder / "fsc.csv", index=False)
    states = np.linspace(0, 1, 9)
    columns = {f"{x}_resolution_in_angstroms": 8 + states for x in masks}
    frames = [pd.DataFrame({"method": x, "image": range(9), "state": states, **columns}) for x in methods]
    pd.concat(frames).to_csv(folder / "frames.csv", index=False)


def test_the_report_stands_alone_and_shows_what_the_run_holds(run: Run) -> None:
    page = parse(write_report(run))
    # Nothing is fetched: pictures are in the page, references are to its own parts.
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "Volumes of movie second & last" in page.text
    assert "3 movies of 5 to 9 frames, 21 images" in page.text
    assert "<third>" in page.text
    assert "image_scale" in page.text
    assert "Against the truth" not in page.text


def test_after_an_evaluation_it_shows_the_comparison(run: Run) -> None:
    pretend_evaluation(run.path / "evaluation")
    text = parse(write_report(run)).text
    assert "Against the truth" in text
    assert "8.00" in text
    assert "0.912" in text
    assert "errs by 3.25 in the median (unit: degrees)" in text


def test_it_says_how_the_run_did_in_a_comparison(run: Run) -> None:
    pretend_evaluation(run.path / "evaluation")
    (run.path / "compared.json").write_text('{"sentences": ["Better than <other>."]}')
    assert "Better than <other>." in parse(write_report(run)).text


@pytest.mark.parametrize("into_run", [True, False])
def test_an_evaluation_elsewhere_leaves_the_page_alone(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    into_run: bool,
) -> None:
    monkeypatch.setattr("temporem.cli.evaluate.compare", lambda run, truth, folder, options: None)
    monkeypatch.setattr("temporem.cli.evaluate.Truth.load", lambda path: None)
    monkeypatch.setattr("temporem.cli.evaluate.write_evaluation_figures", lambda folder: None)
    monkeypatch.setattr("temporem.cli.evaluate.write_report", lambda run: run.path / "report.html")
    compared = run.path / "compared.json"
    compared.write_text("{}")
    folder = run.path / "evaluation" if into_run else tmp_path / "elsewhere"
    assert main(["evaluate", str(run.path), "--truth", str(tmp_path), "-o", str(folder)]) == 0
    assert ("report.html" in capsys.readouterr().out) == into_run
    # A comparison of the evaluation before is not of this one.
    assert compared.exists() == (not into_run)


def test_a_damaged_evaluation_is_a_sentence(run: Run) -> None:
    pretend_evaluation(run.path / "evaluation")
    (run.path / "evaluation" / "evaluation.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        write_report(run)


def test_a_run_without_metrics_still_has_a_report(run: Run) -> None:
    (run.path / "metrics.jsonl").unlink()
    assert "The fit" not in parse(write_report(run)).text


def test_the_same_run_gives_the_same_page(run: Run) -> None:
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_one_latent_dimension_one_frame_shown_per_movie_is_enough(run: Run) -> None:
    latents = pd.read_csv(run.path / "latents.csv").drop(columns=["z2", "sd2"])
    latents.groupby("movie").head(2).to_csv(run.path / "latents.csv", index=False)
    assert "Latent states over time" in parse(write_report(run)).text


def test_evaluation_figures_are_files_of_both_kinds(tmp_path: Path) -> None:
    pretend_evaluation(tmp_path / "evaluation")
    write_evaluation_figures(tmp_path / "evaluation")
    written = {x.name for x in (tmp_path / "evaluation").iterdir()}
    assert {"fsc.png", "fsc.svg", "resolution.png", "resolution.svg"} <= written

"""From a declaration to the page of results, on movies so small that it takes seconds."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from matplotlib.figure import Figure as Drawing

from temporem.errors import UserError
from temporem.experiments import pictures
from temporem.experiments.claims import findings
from temporem.experiments.code import code_digest
from temporem.experiments.declared import Claim
from temporem.experiments.figure_folder import write_figure_folder
from temporem.experiments.peers import Peers
from temporem.experiments.results import write_results
from temporem.experiments.running import Cache, run_steps
from temporem.experiments.steps import plan_figure
from temporem.experiments.structures import Structures
from temporem.experiments.updates import check_equal_updates, updates_of
from temporem.fitting import linear, trainer
from temporem.fitting.pose_network import exploring
from temporem.reconstruction.run import Run

ERRORS = (
    "median_rotation_in_degrees",
    "percentile_90_rotation_in_degrees",
    "median_shift_in_angstroms",
    "percentile_90_shift_in_angstroms",
)


def leave_out_pages(patch: pytest.MonkeyPatch) -> None:
    """The pages of runs take most of the time, and no figure is made of them."""
    for verb, name in (
        ("reconstruct", "write_report"),
        ("evaluate", "write_report"),
        ("evaluate", "write_evaluation_figures"),
    ):
        patch.setattr(f"temporem.cli.{verb}.{name}", lambda *_, **__: "page")


@pytest.fixture(scope="module")
def work(structures: Structures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cache holds two arms on one data set."""
    folder = tmp_path_factory.mktemp("reproduction")
    catalogue = tiny.catalogue()
    plan = plan_figure(tiny.figure(), catalogue.scales["small"], catalogue, structures)
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_EPOCHS", "MORE_EPOCHS"):
            patch.setattr(linear, name, 2)
        objective = trainer.elbo
        patch.setattr(trainer, "elbo", lambda *args: steps.append(1) or objective(*args))
        leave_out_pages(patch)
        failed = run_steps(plan.steps, Cache(folder / "cache", tiny.in_this_process), "test")
        assert list(failed.values()) == []
    (folder / "steps").write_text(str(len(steps)))
    return folder


def drawn(work: Path, structures: Structures, output: Path, peer: Path | None = None, **more: object) -> dict:
    catalogue = tiny.catalogue()
    plan = plan_figure(tiny.figure(**more), catalogue.scales["small"], catalogue, structures)
    facts = write_figure_folder(plan, Cache(work / "cache"), Peers(peer), output)
    assert facts == json.loads((output / "figure.json").read_text())
    return facts


def test_updates_are_those_the_optimiser_made(work: Path) -> None:
    runs = [Run.open(x / "run") for x in (work / "cache").glob("reconstruct-*")]
    assert len(runs) == 2
    assert sum(updates_of(run) for run in runs) == int((work / "steps").read_text())
    assert check_equal_updates(dict(zip("ab", runs, strict=True))) == {"a": 12, "b": 12}


def test_what_has_no_networks_is_compared_with_any(work: Path, tmp_path: Path) -> None:
    run = next((work / "cache").glob("reconstruct-*")) / "run"
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"stage": "linear", "negative_log_likelihood": 1.0}\n')
    runs = {"networks": Run.open(run), "density": Run.open(tmp_path / "run")}
    assert check_equal_updates(runs) == {"networks": 12, "density": 0}


def test_arms_with_unequal_updates_are_not_compared(work: Path, tmp_path: Path) -> None:
    run = next((work / "cache").glob("reconstruct-*")) / "run"
    shutil.copytree(run, tmp_path / "run")
    records = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(f"{x}\n" for x in [*records, records[-1]]))
    with pytest.raises(UserError, match=r"different numbers of updates \(a 12, b 18\)"):
        check_equal_updates({"a": Run.open(run), "b": Run.open(tmp_path / "run")})


def test_a_figure_has_its_pictures_tables_and_numbers(
    work: Path, structures: Structures, tmp_path: Path
) -> None:
    facts = drawn(work, structures, tmp_path)
    (entry,) = facts["comparisons"]
    assert entry["updates"] == {"tempor": 12, "cryodrgn": 12}
    assert entry["seconds"].keys() == {"tempor", "cryodrgn"}
    assert entry["comparison"]["against"] == "cryodrgn"
    assert entry["evaluations"]["tempor"]["references"].keys() >= {"consensus", "clock", "oracle"}
    assert entry["evaluations"]["cryodrgn"]["references"] == {}
    shown = {x["shows"].removeprefix("first: ") for x in facts["pictures"]}
    assert shown == {"volumes", "fsc", "improvement", "latents of tempor", "latents of cryodrgn"}
    for picture in facts["pictures"]:
        assert (tmp_path / picture["file"]).stat().st_size > 1000
    assert (tmp_path / "first-s0" / "comparison.json").exists()


def test_a_peer_stands_beside_ours_if_it_is_of_these_movies(
    work: Path, structures: Structures, tmp_path: Path
) -> None:
    arms = ("tempor", "other program", "cryodrgn")
    one = {"arms": arms, "panels": ["improvement"]}
    facts = drawn(work, structures, tmp_path / "without", **one)
    assert "--peer, folder peptide-s0/cryodrgn" in facts["comparisons"][0]["missing"]["other program"]
    evaluation = next((work / "cache").glob("evaluate-*-tempor-*")) / "evaluation"
    shutil.copytree(evaluation, tmp_path / "peer" / "peptide_s0" / "cryodrgn")
    facts = drawn(work, structures, tmp_path / "with", tmp_path / "peer", **one)
    runs = facts["comparisons"][0]["comparison"]["runs"]
    assert list(runs) == list(arms)
    assert runs["other program"]["whole"] == runs["tempor"]["whole"]
    table = tmp_path / "peer" / "peptide_s0" / "cryodrgn" / "frames.csv"
    table.write_text(table.read_text().replace("movie1", "movie7"))
    facts = drawn(work, structures, tmp_path / "wrong", tmp_path / "peer", **one)
    assert "different truths" in facts["comparisons"][0]["missing"]["other program"]
    assert list(facts["comparisons"][0]["comparison"]["runs"]) == ["tempor", "cryodrgn"]


@pytest.fixture(scope="module")
def with_hetem(work: Path, structures: Structures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an arm whose poses are inferred from nothing."""
    folder = tmp_path_factory.mktemp("unposed")
    shutil.copytree(work / "cache", folder / "cache")
    catalogue = tiny.catalogue()
    figure = tiny.figure(arms=("tempor", "hetem"))
    plan = plan_figure(figure, catalogue.scales["small"], catalogue, structures)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exploring, "DRAWS", 20)
        patch.setattr(exploring, "ROUNDS", ((2, 2),))
        leave_out_pages(patch)
        failed = run_steps(plan.steps, Cache(folder / "cache", tiny.in_this_process), "test")
        assert list(failed.values()) == []
    return folder


def test_arms_with_poses_of_their_own_stand_beside_others_and_their_errors_on_the_page(
    with_hetem: Path, structures: Structures, tmp_path: Path
) -> None:
    facts = drawn(
        with_hetem, structures, tmp_path / "fig8", arms=("tempor", "hetem"), panels=["volumes", "fsc"]
    )
    (entry,) = facts["comparisons"]
    assert entry["missing"] == {}
    assert entry["updates"] == {"tempor": 12, "hetem": 12}
    assert "alignment" not in entry["evaluations"]["tempor"]
    errors = entry["evaluations"]["hetem"]["alignment"]["pose_errors"]
    page = write_results(tmp_path, tmp_path / "docs").read_text()
    (row,) = (x for x in page.splitlines() if x.startswith("| first | 0 | hetem | ") and x.count("|") == 9)
    shown = [float(x) for x in row.split("|")[4:8]]
    assert shown == [round(errors[name], 2) for name in ERRORS]
    assert (tmp_path / "fig8" / "first-s0-volumes.png").stat().st_size > 1000


def test_poses_of_their_own_that_were_not_brought_to_the_truth_are_refused(
    with_hetem: Path, structures: Structures, tmp_path: Path
) -> None:
    shutil.copytree(with_hetem / "cache", tmp_path / "cache")
    path = next((tmp_path / "cache").glob("evaluate-*-hetem-*")) / "evaluation" / "evaluation.json"
    summary = json.loads(path.read_text())
    del summary["alignment"]
    path.write_text(json.dumps(summary))
    with pytest.raises(UserError, match=r"poses of the arm 'hetem'.*--align"):
        drawn(tmp_path, structures, tmp_path / "fig8", arms=("tempor", "hetem"))


def test_a_trend_is_drawn_over_its_axis(work: Path, structures: Structures, tmp_path: Path) -> None:
    more = {
        "panels": ["trend"],
        "axis": "width",
        "lines": ["tempor", "cryodrgn"],
        "comparisons": [
            {"data": "peptide", "arms": ["tempor", "cryodrgn"], "title": "narrow", "at": 8},
            {"data": "peptide", "arms": ["longer", "cryodrgn"], "title": "wide", "at": 16},
        ],
    }
    facts = drawn(work, structures, tmp_path, **more)
    assert facts["comparisons"][1]["missing"] == {"longer": "not computed, or it failed"}
    assert [x["file"] for x in facts["pictures"]] == ["trend.png"]
    # One width of the two was compared: that neither rises nor falls.
    assert findings(Claim("", "figure", "rising", ("narrow", "wide")), facts["comparisons"]) == []


def test_the_lines_of_a_trend_are_of_one_group_each(
    work: Path, structures: Structures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawings: list[Drawing] = []
    monkeypatch.setattr(pictures, "write_figure", lambda drawing, _: drawings.append(drawing))
    arms = ["tempor", "cryodrgn"]
    more = {
        "panels": ["trend"],
        "axis": "SNR",
        "lines": arms,
        "comparisons": [
            {"data": "peptide", "arms": arms, "title": "low", "at": 1},
            {"data": "peptide", "arms": arms, "title": "high", "at": 2},
            {"data": "peptide", "arms": arms, "title": "other", "at": 2, "group": "twin"},
            {"data": "peptide", "arms": arms, "title": "beside"},
        ],
    }
    drawn(work, structures, tmp_path, **more)
    axes = drawings[0].axes[0]
    assert axes.get_legend_handles_labels()[1] == ["tempor", "tempor, twin", "cryodrgn", "cryodrgn, twin"]
    lengths = [len(np.asarray(x.lines[0].get_xdata())) for x in axes.containers]
    assert lengths == [2, 1, 2, 1]


def test_the_page_of_results_tells_claims_figures_and_what_is_missing(
    work: Path, structures: Structures, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="holds no figure"):
        write_results(tmp_path, tmp_path)
    arms = ("tempor", "other program", "cryodrgn")
    drawn(work, structures, tmp_path / "fig3", arms=arms, panels=["fsc", "improvement"])
    page = write_results(tmp_path, tmp_path / "docs").read_text()
    assert "temporem reproduce fig3 --scale small --seeds 0" in page
    assert f"Code that computed: {code_digest()[:12]}." in page
    assert "All steps, one after the other:" in page
    assert "not computed" in page
    assert "Left out: other program: no evaluation was brought" in page
    assert page.count("| first | 0 |") == 2
    for name in ("consensus", "clock", "oracle"):
        assert f"| peptide | 0 | {name} |" in page
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", page)
    assert len(pictures) == 2
    assert all((tmp_path / "docs" / x).exists() for x in pictures)

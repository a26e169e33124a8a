import json
from pathlib import Path

import pytest

from temporem.cli.main import main


@pytest.mark.external
def test_the_demo_recovers_the_motion_and_leaves_its_pages(tmp_path: Path) -> None:
    pytest.importorskip("MDAnalysisTests")
    demo = tmp_path / "demo"
    assert main(["demo", "-o", str(demo)]) == 0
    assert (demo / "index.html").exists()
    assert (demo / "demo.png").exists()
    assert (demo / "run" / "report.html").exists()
    assert len(list((demo / "volumes").glob("vol_*.mrc"))) == 20
    assert (demo / "volumes" / "play.cxc").exists()
    methods = json.loads((demo / "run" / "evaluation" / "evaluation.json").read_text())["methods"]
    for mask in ("whole", "moving"):
        of = {
            name: facts[mask]["resolution_in_angstroms"]["mean_over_frames"]
            for name, facts in methods.items()
        }
        # The movies start anywhere and run either way: neither ignoring time nor counting frames will do.
        assert of["run"] < min(of["consensus"], of["clock"])


def test_a_demo_of_another_seed_or_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    (tmp_path / "demo.json").write_text('{"seed": 1}')
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert "another --seed" in capsys.readouterr().err
    assert main(["demo", "-o", str(tmp_path / "new"), "--seed", "-1"]) == 2
    assert "--seed is -1" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_demo_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped once at every step, each step is done once, and a fit begun is resumed."""
    from temporem.cli import demo

    done: list[str] = []
    stop_at = ""

    def step(name, leaves):
        def work(*arguments, **options):
            nonlocal stop_at
            if name == "reconstruct":
                done.append(f"resume={options['resume']}")
            if name == stop_at:
                stop_at = ""
                raise KeyboardInterrupt
            done.append(name)
            for path in leaves:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text("{}")
            return Path("page")

        return work

    monkeypatch.setattr(demo, "simulate", step("simulate", ["movies/movies.star"]))
    monkeypatch.setattr(demo, "reconstruct", step("reconstruct", ["run/config.json"]))
    monkeypatch.setattr(demo, "evaluate", step("evaluate", ["run/evaluation/evaluation.json"]))
    monkeypatch.setattr(demo, "export_volumes", step("export", ["volumes/play.cxc"]))
    for name in ("write_evaluation_figures", "write_report", "write_comparison"):
        monkeypatch.setattr(demo, name, lambda *_: Path("page"))
    monkeypatch.setattr(demo.Truth, "load", lambda _: None)
    monkeypatch.setattr(demo, "most_telling_movie", lambda _: "1")
    monkeypatch.setattr(demo.Run, "latents", lambda _: None)
    monkeypatch.setattr(Path, "latents", lambda _: None, raising=False)
    for stop in ("simulate", "evaluate", "export"):
        stop_at = stop
        assert main(["demo", "-o", str(tmp_path)]) == 130
        assert "to go on, repeat the command" in capsys.readouterr().err
    assert main(["demo", "-o", str(tmp_path)]) == 0
    assert done == [
        "simulate", "resume=False", "reconstruct", "resume=True", "reconstruct", "evaluate", "export",
    ]  # fmt: skip

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

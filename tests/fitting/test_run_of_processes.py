"""The whole command with several processes: one run, said once, and as one process would have made it."""

from pathlib import Path

import numpy as np
import pytest
from blob_movies import swinging, write_movies

from temporem.cli.main import main
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run


def test_two_processes_leave_one_run_and_speak_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    star = write_movies(tmp_path / "movies", swinging(3, 8), snr=2.0)
    words = ["reconstruct", str(star), "--method", "linear", "--latent-dim", "1", "--device", "cpu", "-o"]
    assert main([*words, str(tmp_path / "two"), "--devices", "2"]) == 0
    said = capfd.readouterr()
    assert said.out.count("The run is in") == 1
    assert said.err.count("Computing on CPU") == 1
    assert (tmp_path / "two" / "report.html").is_file()
    fitting = FittingOptions(method="linear", latent_dim=1, device="cpu")
    one = reconstruct(star, tmp_path / "one", ReadingOptions(), PreprocessingOptions(), fitting)
    two = Run.open(tmp_path / "two")
    assert [run.config["processes"] for run in (one, two)] == [1, 2]
    np.testing.assert_allclose(one.latents()["z1"], two.latents()["z1"], atol=1e-4)
    assert len(two.metrics()) == len(one.metrics())


def test_what_a_person_did_wrong_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    star, run = write_movies(tmp_path / "movies", swinging(1, 2)), str(tmp_path / "run")
    assert main(["reconstruct", str(star), "-o", run, "--device", "cpu", "--devices", "2"]) == 2
    said = capfd.readouterr().err
    assert said.count("temporem: ") == 1
    assert "too few to share out among 2 processes" in said
    assert "Traceback" not in said

"""A real Ctrl-C in the middle of the real command, and the same command with --resume."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from blob_movies import swinging, write_movies
from safetensors.torch import load_file

from temporem.cli.main import main

pytestmark = pytest.mark.external

MODEL = Path("model") / "generator.safetensors"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    star = write_movies(tmp_path_factory.mktemp("movies"), swinging(4, 6), snr=2.0)
    return ["reconstruct", str(star), "--latent-dim", "1", "--device", "cpu", "-o"]


@pytest.fixture(scope="module")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert main([*words, str(run)]) == 0
    return run


def stopped_when_there_is(begun: Path, command: list[str]) -> tuple[int, str]:
    """Send SIGINT to the command as soon as that file is there; its exit code and what it said."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as fit:
        while not begun.exists() and fit.poll() is None:
            time.sleep(0.01)
        fit.send_signal(signal.SIGINT)
        _, said = fit.communicate()
    return fit.returncode, said


@pytest.mark.parametrize(
    "begun", ["metrics.jsonl", "checkpoints/deformation.json"], ids=["linear states", "deformation"]
)
def test_stopped_by_ctrl_c_and_resumed_is_as_not_stopped(
    words: list[str], whole: Path, tmp_path: Path, begun: str
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "temporem", *words, str(run)]
    code, said = stopped_when_there_is(run / begun, command)
    assert code == 130
    assert "Traceback" not in said
    *before, last = said.splitlines()
    assert last.startswith("temporem: Stopped")
    assert "--resume" in last
    assert not any(line.startswith("temporem: ") for line in before)

    assert main([*words, str(run), "--resume"]) == 0
    assert (run / "latents.csv").read_bytes() == (whole / "latents.csv").read_bytes()
    ours, theirs = load_file(run / MODEL), load_file(whole / MODEL)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

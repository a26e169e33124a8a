"""Who started this process, and how many others, is read off the options and the environment."""

import os

import pytest
import torch

from temporem.cli.launching import find_team, in_environment
from temporem.errors import UserError
from temporem.fitting.options import FittingOptions

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}
SRUN = {
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_NTASKS": "8",
}


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("SLURM_", "TORCHELASTIC_", "MASTER_", "NODE_RANK")):
            monkeypatch.delenv(name)


def options(devices: int = 1, nodes: int = 1, device: str = "cpu") -> FittingOptions:
    return FittingOptions(devices=devices, nodes=nodes, device=device)


def with_devices(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_alone_by_default() -> None:
    assert find_team(options()).size == 1


def test_as_many_as_are_asked_for() -> None:
    team = find_team(options(devices=3))
    assert (team.starter, team.local, team.nodes) == ("ourselves", 3, 1)
    assert int(team.environment["MASTER_PORT"]) > 0


@pytest.mark.parametrize("asked", [(1, 1), (2, 3), (2, 1)])
def test_what_torchrun_has_started(asked: tuple[int, int]) -> None:
    with in_environment(TORCHRUN):
        team = find_team(options(*asked))
    assert (team.starter, team.local, team.nodes, team.size) == ("torchrun", 2, 3, 6)


def test_what_srun_has_started() -> None:
    with in_environment(SRUN):
        team = find_team(options())
    assert (team.starter, team.local, team.nodes) == ("srun", 2, 2)
    assert team.environment["SLURM_NTASKS"] == "4"
    assert team.environment["SLURM_NODELIST"] == "gpu[07-08]"


def test_two_steps_of_a_job_meet_at_different_ports() -> None:
    ports = set()
    for step in ("0", "1"):
        with in_environment(SRUN | {"SLURM_STEP_ID": step}):
            ports.add(find_team(options()).environment["MASTER_PORT"])
    assert len(ports) == 2


def test_a_batch_script_without_srun_is_alone() -> None:
    with in_environment({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}):
        assert find_team(options()).size == 1


def test_machines_that_meet_by_themselves_are_told_where() -> None:
    with pytest.raises(UserError, match="NODE_RANK, MASTER_ADDR, MASTER_PORT"):
        find_team(options(nodes=2))
    with in_environment({"NODE_RANK": "1", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}):
        assert find_team(options(nodes=2)).size == 2


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "words"),
    [
        (TORCHRUN, 4, 1, "--devices is 4, but torchrun has started 3 × 2 processes"),
        (SRUN, 1, 3, "--nodes is 3, but srun has started 2 × 2 processes"),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "5"}, 1, 1, "not as many on each machine"),
    ],
    ids=str,
)
def test_what_contradicts_is_said(environment: dict[str, str], devices: int, nodes: int, words: str) -> None:
    with in_environment(environment), pytest.raises(UserError, match=words):
        find_team(options(devices, nodes))


def test_cuda_devices_are_counted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with_devices(monkeypatch, 2)
    assert find_team(options(2, device="auto")).accelerator == "cuda"
    assert find_team(options(4, device="cpu")).accelerator == "cpu"
    with pytest.raises(UserError, match="to be 4 devices on each machine, but a process sees 2 CUDA"):
        find_team(options(4, device="cuda"))
    with pytest.raises(UserError, match="--device cuda:1 is one device"):
        find_team(options(2, device="cuda:1"))


def test_the_environment_is_as_before_after_the_block() -> None:
    before = dict(os.environ)
    with in_environment({"MASTER_PORT": "1"}):
        os.environ["LOCAL_RANK"] = "5"
    assert dict(os.environ) == before

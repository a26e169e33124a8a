"""How many processes make this fit, and who started them: this command, srun or torchrun."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from temporem.errors import UserError
from temporem.fitting.options import FittingOptions
from temporem.model.devices import choose_device

__all__ = ["Team", "find_team", "in_environment"]

Starter = Literal["ourselves", "srun", "torchrun"]
ADDRESS = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What each machine must be told where neither srun nor torchrun does."""
FIRST_PORT, PORTS = 15_000, 10_000


@dataclass(frozen=True)
class Team:
    """The processes of one fit."""

    starter: Starter
    local: int
    """On each machine."""
    nodes: int
    accelerator: Literal["cpu", "cuda"]
    environment: Mapping[str, str]
    """What lightning-fabric reads of where the others are, and nobody has said yet."""

    @property
    def size(self) -> int:
        """All of them."""
        return self.local * self.nodes


def find_team(fitting: FittingOptions) -> Team:
    """Read the options and the environment.

    Raises UserError where they contradict each other, or ask for devices that are not there.
    """
    starter, local, nodes = _started() or ("ourselves", fitting.devices, fitting.nodes)
    for name, asked, there in (("devices", fitting.devices, local), ("nodes", fitting.nodes, nodes)):
        if asked not in (1, there):
            raise UserError(
                f"--{name} is {asked}, but {starter} has started {nodes} × {local} processes (machines ×"
                f" devices): leave --{name} out, or have {starter} start as many."
            )
    if local * nodes == 1:
        return Team("ourselves", 1, 1, "cpu", {})
    return Team(starter, local, nodes, _accelerator(fitting, local), _environment(starter, local, nodes))


def _started() -> tuple[Starter, int, int] | None:
    """Who else started this process, and how many: on each machine, and machines."""
    given = os.environ
    if "TORCHELASTIC_RUN_ID" in given:
        local, size = int(given["LOCAL_WORLD_SIZE"]), int(given["WORLD_SIZE"])
        return "torchrun", local, _machines("torchrun", size, local)
    # Not SLURM_NTASKS, which a batch script has before any srun.
    size = int(given.get("SLURM_STEP_NUM_TASKS", 1))
    if size == 1:
        return None
    nodes = int(given.get("SLURM_STEP_NUM_NODES", 1))
    return "srun", _machines("srun", size, nodes), nodes


def _machines(starter: Starter, size: int, among: int) -> int:
    if size % among:
        raise UserError(
            f"{starter} has started {size} processes, not as many on each machine: give --ntasks-per-node"
            " to srun, or the same --nproc-per-node to each torchrun."
        )
    return size // among


def _accelerator(fitting: FittingOptions, local: int) -> Literal["cpu", "cuda"]:
    device = choose_device(fitting.device)
    if device.type == "cpu":
        return "cpu"
    if device.index is not None:
        raise UserError(
            f"--device {fitting.device} is one device, but there are to be {local} on each machine: give"
            " --device cuda, and choose among them by CUDA_VISIBLE_DEVICES."
        )
    there = torch.cuda.device_count()
    if there < local:
        raise UserError(
            f"there are to be {local} devices on each machine, but a process sees {there} CUDA devices here:"
            " give fewer --devices, or --device cpu; under SLURM ask for --gres=gpu:N, not for"
            " --gpus-per-task."
        )
    return "cuda"


def _environment(starter: Starter, local: int, nodes: int) -> dict[str, str]:
    given = os.environ
    if starter == "torchrun":
        return {}
    if starter == "srun":
        # A step may have fewer tasks and machines than its job, and two steps must not share a port.
        number = int(given.get("SLURM_JOB_ID", 0)) + 7 * int(given.get("SLURM_STEP_ID", 0))
        of_step = {
            "SLURM_NTASKS": str(local * nodes),
            "SLURM_NTASKS_PER_NODE": str(local),
            "SLURM_NNODES": str(nodes),
            "MASTER_PORT": given.get("MASTER_PORT", str(FIRST_PORT + number % PORTS)),
        }
        names = given.get("SLURM_STEP_NODELIST")
        return of_step if names is None else of_step | {"SLURM_NODELIST": names}
    if nodes == 1:
        return {"NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    missing = [name for name in ADDRESS if name not in given]
    if missing:
        raise UserError(
            f"--nodes {nodes} needs to know {', '.join(missing)} on each machine: start it with srun or"
            f" torchrun, or set {', '.join(ADDRESS)} to the machine's number from 0, and to the name and a"
            " free port of machine 0."
        )
    return {}


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """With these environment variables in the block, and all as before after it."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

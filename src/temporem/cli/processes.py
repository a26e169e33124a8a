"""Do a piece of work in several processes at once: the first one writes and speaks, the others help it."""

import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

import torch
import torch.distributed as group

from temporem.cli.failures import INTERRUPTED, MENDABLE, explain
from temporem.cli.launching import Team, find_team, in_environment
from temporem.errors import UserError
from temporem.fitting.options import FittingOptions
from temporem.fitting.processes import ALONE, Processes, ProcessLostError
from temporem.progress import console
from temporem.reconstruction.run import CONFIG

__all__ = ["Work", "in_processes"]

Work = Callable[[Path, Processes], None]
"""What each process does: it is given a run folder of its own, and who works with it."""

SHADOWS = "TEMPOREM_SHADOWS"
"""Names the folder that those of the other processes lie in, and go with, however these end."""
STOPPED = "temporem/stopped"
"""Where a process leaves its last words, for the first one to say."""
GRACE_IN_SECONDS = 30.0
"""For the first process to notice that another has died, before it is ended too."""
END_IN_SECONDS, STOP_IN_SECONDS = 60.0, 5.0
"""For the others to end by themselves, after the work is done and after it has failed."""


def in_processes(work: Work, fitting: FittingOptions, output: Path, resume: bool) -> None:
    """Do `work` in as many processes as the options ask for, or srun or torchrun have started.

    The first process is given `output`; each other a temporary folder, a copy of the run begun so far where
    it is to `resume`. `work` must be picklable.

    Raises UserError where the processes asked for cannot be had, or one of them has stopped; SystemExit,
    without a word, in a process of srun's or torchrun's that is not the first.
    """
    fitting.check()
    team = find_team(fitting)
    if team.size == 1:
        work(output, ALONE)
        return
    with in_environment(team.environment):
        if team.starter != "ourselves":
            _take_part(team, work, output, resume)
            return
        with tempfile.TemporaryDirectory(prefix="temporem-") as shadows, in_environment({SHADOWS: shadows}):
            _lead(team, work, output, resume)


def _lead(team: Team, work: Work, output: Path, resume: bool) -> None:
    """Start the other processes of this machine, and take part."""
    start = get_context("spawn")
    ready = start.Semaphore(0)
    others = [
        start.Process(target=_help, args=(rank, ready, team, work, output, resume), daemon=True)
        for rank in range(1, team.local)
    ]
    over, patience = threading.Event(), STOP_IN_SECONDS
    with _interrupt_waits():
        for other in others:
            other.start()
    threading.Thread(target=_watch, args=(others, over), daemon=True).start()
    try:
        # Where the processes meet, nobody hears a Ctrl-C: go there when all are.
        for _ in others:
            while not ready.acquire(timeout=1.0):
                if any(other.exitcode for other in others):
                    raise UserError(_who_stopped())
        with in_environment({"LOCAL_RANK": "0"}):
            _take_part(team, work, output, resume)
        patience = END_IN_SECONDS
    finally:
        over.set()
        _end(others, patience)


def _help(rank: int, ready: Semaphore, team: Team, work: Work, output: Path, resume: bool) -> None:
    """A process started by `_lead`."""
    try:
        ready.release()
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.environ["LOCAL_RANK"] = str(rank)
        _take_part(team, work, output, resume)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _take_part(team: Team, work: Work, output: Path, resume: bool) -> None:
    with _joined(team) as processes:
        try:
            with _folder(output, resume, processes) as own:
                work(own, processes)
                processes.wait()
        except ProcessLostError as error:
            raise UserError(_who_stopped()) if processes.first else SystemExit(MENDABLE) from error
        except (Exception, KeyboardInterrupt) as error:
            if processes.first:
                raise
            # Most failures are those of all, and the first process says them.
            sentence, code = explain(error)
            with suppress(RuntimeError):
                _store().set(STOPPED, sentence)
            raise SystemExit(code) from None


@contextmanager
def _joined(team: Team) -> Iterator[Processes]:
    """In the process group of all, on the device of this process."""
    before = torch.get_num_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
        starters = {
            "ourselves": LightningEnvironment,
            "srun": SLURMEnvironment,
            "torchrun": TorchElasticEnvironment,
        }
        fabric = Fabric(
            accelerator=team.accelerator,
            devices=team.local,
            num_nodes=team.nodes,
            strategy=DDPStrategy(cluster_environment=starters[team.starter]()),
        )
        try:
            fabric.launch()
        except RuntimeError as error:
            meeting = f"{os.environ.get('MASTER_ADDR')}, port {os.environ.get('MASTER_PORT')}"
            raise UserError(
                f"the {team.size} processes did not find each other at {meeting}"
                f" ({str(error).splitlines()[0]}): see that all are started, and that this port is open."
            ) from error
    if team.accelerator == "cpu":
        torch.set_num_threads(_threads(team, before))
    processes = Processes(fabric.global_rank, fabric.world_size, fabric.device)
    try:
        yield processes
    finally:
        torch.set_num_threads(before)
        group.destroy_process_group()


def _threads(team: Team, threads: int) -> int:
    """Of each process, so that those of one machine share its cores."""
    if team.starter == "srun" and "SLURM_CPUS_PER_TASK" in os.environ:
        return int(os.environ["SLURM_CPUS_PER_TASK"])
    # Torchrun sets OMP_NUM_THREADS where nobody has.
    return threads if team.starter == "torchrun" else max(1, threads // team.local)


@contextmanager
def _folder(output: Path, resume: bool, processes: Processes) -> Iterator[Path]:
    """The run folder that this process writes: the true one, or a shadow of it that goes with the block."""
    if processes.first:
        # The others copy what there is before anything changes.
        processes.wait()
        yield output
        return
    console.quiet = True
    # So do srun and torchrun end processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    with tempfile.TemporaryDirectory(prefix="temporem-", dir=os.environ.get(SHADOWS)) as folder:
        own, begun = Path(folder) / "run", (output / CONFIG).is_file()
        if resume and begun:
            shutil.copytree(output, own)
        processes.wait()
        if resume and not begun:
            raise UserError(
                f"not every process finds a run in {output}: give a folder that all machines share."
            )
        yield own


@contextmanager
def _interrupt_waits() -> Iterator[None]:
    """Ctrl-C is heard after the block, and by processes started in it when they ask for it: one that is still
    importing would not end silently."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started along with the first process, it would let Ctrl-C through.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(others: list[SpawnProcess], over: threading.Event) -> None:
    """End this process where another has died and this one waits for it: on a GPU nobody else would."""
    while not over.wait(1.0):
        if any(other.exitcode for other in others) and not over.wait(GRACE_IN_SECONDS):
            print(f"temporem: {_who_stopped()}", file=sys.stderr, flush=True)
            for other in others:
                other.kill()
            shutil.rmtree(os.environ[SHADOWS], ignore_errors=True)
            os._exit(MENDABLE)


def _end(others: list[SpawnProcess], patience_in_seconds: float) -> None:
    """See that no other process is left here: asked by Ctrl-C at first, it takes its folder along."""
    for patience, ending in ((patience_in_seconds, signal.SIGINT), (END_IN_SECONDS, signal.SIGKILL)):
        for other in others:
            other.join(patience)
        for other in others:
            if other.is_alive() and other.pid is not None:
                os.kill(other.pid, ending)
    for other in others:
        other.join()


def _store() -> Any:
    """Where the processes met, and may leave words for each other."""
    # Not every build of torch has it.
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store()


def _who_stopped() -> str:
    """What the process that stopped has said, where it could."""
    if group.is_initialized():
        with suppress(RuntimeError):
            store = _store()
            if store.check([STOPPED]):
                return f"another of the processes has stopped: {store.get(STOPPED).decode()}"
    return (
        "another of the processes has stopped without a word, as one does when the memory is full; what was"
        " saved goes on with --resume."
    )

"""From the names of figures to their folders: plan, compute what is missing, compare, draw."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from temporem.errors import UserError
from temporem.experiments.declared import read_catalogue, read_figure
from temporem.experiments.figure_folder import write_figure_folder
from temporem.experiments.peers import Peers
from temporem.experiments.running import Cache, Processes, run_steps
from temporem.experiments.steps import Kind, Step, plan_figure
from temporem.experiments.structures import Structures
from temporem.files import check_folder
from temporem.seeds import check_seed

__all__ = ["Part", "reproduce_figures"]

Part = Literal["all", "data", "pictures"]
KINDS: Mapping[Part, tuple[Kind, ...]] = {
    "all": get_args(Kind),
    "data": ("simulate", "derive"),
    "pictures": (),
}


def reproduce_figures(
    names: Sequence[str],
    scale_name: str,
    output: Path,
    structures: Structures,
    peer: Path | None = None,
    seeds: Sequence[int] = (),
    only: Part = "all",
    jobs: int = 1,
) -> list[str]:
    """Compute and draw figures into `output/NAME`, one after the other; returns what went wrong, in words.

    `seeds` stand in for the scale's own; `peer` is the folder of `Peers`; `only` leaves out the rest; `jobs`
    steps are done at once, sharing the cores.

    Raises UserError where nothing can be begun: an unknown figure, a structure or a folder that is not there,
    a seed given twice or of no generator.
    """
    check_folder(output)
    peers = Peers(peer)
    for seed in seeds:
        check_seed(seed)
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {' '.join(map(str, seeds))} names a seed twice: give each once.")
    catalogue = read_catalogue()
    scale = catalogue.scales[scale_name]
    if seeds:
        scale = replace(scale, seeds=tuple(seeds))
    plans = [plan_figure(read_figure(name, catalogue), scale, catalogue, structures) for name in names]
    processes = Processes(jobs)
    cache = Cache(output / "cache", processes)
    failed: dict[Step, str] = {}
    problems: list[str] = []
    for plan in plans:
        steps = [x for x in plan.steps if x.kind in KINDS[only]]
        failed |= run_steps(steps, cache, plan.figure.name, failed, jobs, processes.stop)
        if only == "data":
            continue
        try:
            if not any(cache.done(x) for x in plan.runs.values()):
                raise UserError("nothing of it was computed by this code, and it stays as it was.")
            write_figure_folder(plan, cache, peers, output / plan.figure.name)
        except UserError as error:
            problems.append(f"{plan.figure.name}: {error}")
    return [*problems, *(f"{step.kind} {step.label}: {problem}" for step, problem in failed.items())]

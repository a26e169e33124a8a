"""`temporem reproduce`: the paper's figures, from data sets to pictures."""

import os
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from temporem.errors import UserError
from temporem.experiments.declared import figure_names
from temporem.experiments.reproduce import Part, reproduce_figures
from temporem.experiments.results import write_results
from temporem.experiments.structures import Structures
from temporem.model.devices import choose_device

__all__ = ["reproduce"]


def reproduce(
    figure: Positional[Annotated[str, arg(metavar="FIGURE")]],
    scale: Literal["small", "paper"] = "small",
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")] = Path("reproduction"),
    structures: Path | None = None,
    peer: Path | None = None,
    docs: Path | None = None,
    seeds: tuple[int, ...] = (),
    only: Part = "all",
    jobs: int | None = None,
) -> None:
    """Reproduce a figure of the paper: simulate, reconstruct, evaluate, compare and draw.

    What was computed is kept in DIR/cache and never computed twice; an interrupted reproduction goes on when
    the command is repeated.

    Args:
        figure: fig3, fig4, fig5, fig6, fig7, fig8, fig9a, fig9b, fig9c, fig10, ablations, seeds, twins; all
            of them; or results, the page of what was reproduced so far.
        scale: small runs on 2 cores; paper has the paper's sizes, several seeds and long schedules (a GPU).
        output: Folder to work in.
        structures: Folder with files of the structures (7bcq…, 4cmp…, 4zt0…), instead of downloads.
        peer: Folder of evaluations of the real cryoDRGN, as benchmarks/cryodrgn_peer.py leaves them.
        docs: Where the page of results and its images go; by default DIR.
        seeds: Of the data sets and fits, instead of the scale's own.
        only: data makes the data sets, for other programs to run on; pictures computes nothing and draws
            what there is.
        jobs: Runs at work at once, sharing the cores; by default as many as cores, up to 4, and with a GPU 1.
    """
    known = figure_names()
    names = known if figure == "all" else [] if figure == "results" else [figure]
    if figure not in (*known, "all", "results"):
        raise UserError(f"there is no figure {figure!r}: choose one of {', '.join(known)}, all, results.")
    if jobs is None:
        jobs = 1 if choose_device("auto").type == "cuda" else min(4, os.cpu_count() or 1)
    elif jobs < 1:
        raise UserError(f"--jobs {jobs} is no number of commands: give 1 or more.")
    try:
        problems = reproduce_figures(names, scale, output, Structures(structures), peer, seeds, only, jobs)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Stopped; what was computed is kept: repeat the command to go on.") from None
    for name in names:
        print(f"{name} is in {output / name}")
    if figure in ("all", "results"):
        print(f"The results are in {write_results(output, docs or output)}")
    if problems:
        told = "; ".join(problem.rstrip(".") for problem in problems)
        raise UserError(f"not all could be done, and what needs the rest is left out: {told}.")

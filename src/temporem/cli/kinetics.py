"""`temporem kinetics`: states, dwell times and rates from the latents of a run."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.evaluation.kinetics.analysis import measure_kinetics
from temporem.evaluation.kinetics.options import KineticsOptions
from temporem.files import check_folder
from temporem.reconstruction.run import Run
from temporem.report.kinetics_figures import write_kinetics_figures
from temporem.report.report import write_report

__all__ = ["kinetics"]


def kinetics(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    analysis: OmitArgPrefixes[KineticsOptions],
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="DIR")] = None,
) -> None:
    """Find states along the latent trajectories, how long they last, and the rates between them.

    States are those of a Gaussian hidden Markov model over all movies; needs the package deeptime. The
    summary says so where the movies are too short, or too few, to tell.

    Args:
        run: Folder made by `temporem reconstruct`.
        analysis: How many states are sought, and how the intervals are made.
        output: Folder to write into; by default `kinetics` in the run folder, which the report shows.
    """
    folder = run / "kinetics" if output is None else output
    check_folder(folder)
    opened = Run.open(run)
    summary = measure_kinetics(opened, folder, analysis)
    write_kinetics_figures(folder)
    states = "1 state" if summary["states"] == 1 else f"{summary['states']} states"
    for doubt in summary["doubts"]:
        print(doubt)
    print(f"{states}; the tables are in {folder}")
    if folder.resolve() == (run / "kinetics").resolve():
        print(f"Look at {write_report(opened)}")

"""`temporem halves`: a run's resolution without a truth, from two halves of its movies."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.evaluation.halves import (
    HalvesOptions,
    compare_halves,
    fit_halves,
    halves_sentence,
    write_local_resolutions,
)
from temporem.evaluation.unexplained import write_unexplained
from temporem.files import check_folder
from temporem.reconstruction.export import choose_rows
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import OF_HALVES
from temporem.report.halves_section import write_halves_figures
from temporem.report.report import write_report

__all__ = ["halves"]


def halves(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    comparison: OmitArgPrefixes[HalvesOptions],
    movie: str | None = None,
) -> None:
    """Fit two halves of a run's movies apart: how far they agree is a resolution without a truth.

    It takes about as long as the run did. What it writes is in the folder halves of the run, and in its
    report: the FSC between the halves at the states of the run, in its mask, beside a floor of randomised
    phases; of the motion alone; and over time; and what the images tell of the error that both halves make,
    for `temporem volumes --sd`. A half that was interrupted goes on when the command is repeated.

    Args:
        run: Folder made by `temporem reconstruct`.
        comparison: What is compared.
        movie: Also write a map of the local resolution for each frame of this movie.
    """
    comparison.check()
    opened, folder = Run.open(run), run / OF_HALVES
    check_folder(folder)
    rows = None if movie is None else choose_rows(opened, movie, None)
    fitted = fit_halves(opened, folder)
    write_unexplained(opened, folder)
    # Last the summary: where it is, all is there.
    summary = compare_halves(opened, fitted, folder, comparison)
    if rows is not None:
        maps = write_local_resolutions(opened, fitted, rows, folder)
        print(
            f"Local resolution is in {maps[0]} and after; colour the volumes by it (ChimeraX: color sample)."
        )
    write_halves_figures(folder)
    page = write_report(opened)
    print(halves_sentence(summary))
    print(f"The tables are in {folder}; look at {page}")

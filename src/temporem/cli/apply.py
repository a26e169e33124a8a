"""`temporem apply`: new movies of a molecule through a finished model."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.fitting.applying import apply as infer
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run
from temporem.report.report import write_report

__all__ = ["apply"]


def apply(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    movies: Positional[Annotated[Path, arg(metavar="MOVIES")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="NEW_RUN")],
    reading: OmitArgPrefixes[ReadingOptions],
    device: str = "auto",
) -> None:
    """Find the states of new movies under the model of a run of one moving density; nothing else is fitted.

    Args:
        run: Folder made by `temporem reconstruct`.
        movies: New movies of the same molecule, with poses in the run's frame, at its box and pixel size.
        output: The run folder to make, which every other command takes.
        reading: How the input is read.
        device: auto, cpu, cuda, cuda:1 …
    """
    new = infer(Run.open(run), movies, output, reading, device)
    page = write_report(new)
    print(f"The new movies' gray values are {new.configured('found')['gain']:.3g} times the run's model.")
    print(f"The run is in {output}; look at {page}")

"""`temporem reconstruct`: from movies to a run folder with a first report."""

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from temporem.cli.processes import in_processes
from temporem.fitting.options import FittingOptions
from temporem.fitting.processes import Processes
from temporem.fitting.reconstruct import reconstruct as fit
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.progress import console
from temporem.reconstruction.run import Run
from temporem.report.report import write_report

__all__ = ["reconstruct"]


def reconstruct(
    movies: Positional[Annotated[Path, arg(metavar="MOVIES")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN")],
    fitting: OmitArgPrefixes[FittingOptions],
    preprocessing: OmitArgPrefixes[PreprocessingOptions],
    reading: OmitArgPrefixes[ReadingOptions],
    resume: FlagCreatePairsOff[bool] = False,
) -> None:
    """Recover the volume of every frame of every movie.

    Args:
        movies: RELION .star, cryoSPARC .cs, a stack (.mrcs, .txt) with poses, or a folder or pattern of them.
        output: The run folder to make.
        fitting: How the model is fitted.
        preprocessing: What is done to the images.
        reading: How the input is read.
        resume: Go on with a run that was interrupted.
    """
    work = partial(_reconstruct, movies, reading, preprocessing, fitting, resume)
    try:
        in_processes(work, fitting, output, resume)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(movies, output)) from None


def _reconstruct(
    movies: Path,
    reading: ReadingOptions,
    preprocessing: PreprocessingOptions,
    fitting: FittingOptions,
    resume: bool,
    output: Path,
    processes: Processes,
) -> None:
    """This process's part; the first one's is to tell people, too."""
    show = _show if processes.first else None
    run = fit(movies, output, reading, preprocessing, fitting, resume, show, processes=processes)
    if not processes.first:
        return
    page = write_report(run)
    if reading.null is not None:
        print(
            "This run is a null: its frames were in random order; temporem compare holds it against the run."
        )
    print(f"The run is in {output}; look at {page}")


def _show(run: Run) -> None:
    page = write_report(run)
    console.print(f"The linear method's answer is in {page}; the fit goes on from here.", soft_wrap=True)


def _how_to_go_on(movies: Path, output: Path) -> str:
    if not (output / "config.json").exists():
        return "Stopped before anything was saved; repeat the command."
    again = f"temporem reconstruct {shlex.quote(str(movies))} -o {shlex.quote(str(output))} … --resume"
    return (
        f"Stopped; what was computed up to the last checkpoint is saved in {output}: to go on, repeat the"
        f" command with --resume ({again})."
    )

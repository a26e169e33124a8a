"""`temporem demo`: the main job from end to end on a molecule whose motion is known."""

import dataclasses
import json
import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from temporem.errors import UserError
from temporem.evaluation.evaluate import EvaluationOptions, evaluate
from temporem.files import write_json
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.progress import console
from temporem.reconstruction.export import SCRIPT, export_volumes
from temporem.reconstruction.run import CONFIG, Run
from temporem.report.comparison import write_comparison
from temporem.report.evaluation_figures import write_evaluation_figures
from temporem.report.report import write_report
from temporem.report.run_facts import most_telling_movie
from temporem.seeds import check_seed
from temporem.simulation.recipes import RECIPES
from temporem.simulation.simulate import simulate
from temporem.simulation.truth import Truth

__all__ = ["demo"]

MARK = "demo.json"
"""In a folder that a demo made."""


def demo(output: Annotated[Path, arg(aliases=["-o"])] = Path("demo"), seed: int = 0) -> None:
    """Simulate movies of adenylate kinase opening, reconstruct them, and compare the answer with the truth.

    The motion is a molecular dynamics trajectory made by others, from the package MDAnalysisTests. Every
    movie starts somewhere along it and runs either way, so that counting frames tells nothing. Stopped, it
    goes on when the command is repeated.

    Args:
        output: The folder to make; look at its index.html.
        seed: Of the simulation and of the fit.
    """
    begun = time.monotonic()
    check_seed(seed)
    _take(output, seed)
    try:
        page = _go(output, seed)
    except KeyboardInterrupt:
        again = f"temporem demo -o {shlex.quote(str(output))}{f' --seed {seed}' if seed else ''}"
        raise KeyboardInterrupt(f"Stopped; to go on, repeat the command ({again}).") from None
    minutes = (time.monotonic() - begun) / 60
    print(f"Done in {minutes:.1f} minutes. Look at {page}; one movie's volumes are in {output / 'volumes'}.")


def _take(output: Path, seed: int) -> None:
    """Make the folder this demo's; raises UserError where it is something else's."""
    mark = output / MARK
    if not mark.exists():
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UserError(
                f"{output} already exists and is not an empty folder: choose another one with -o."
            )
        write_json(mark, {"seed": seed})
    try:
        same = json.loads(mark.read_text(encoding="utf-8"))["seed"] == seed
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{mark} cannot be read ({error}): choose another folder with -o.") from error
    if not same:
        raise UserError(f"{output} holds a demo of another --seed: choose another folder with -o.")


def _go(output: Path, seed: int) -> Path:
    """Do what is not done yet; return the page to look at."""
    movies, folder, evaluation = output / "movies", output / "run", output / "run" / "evaluation"
    console.print("1 of 4: simulating movies of adenylate kinase")
    if not movies.exists():
        _, recipe = RECIPES["adk"]
        simulate(dataclasses.replace(recipe, twin=True, seed=seed), movies)
    truth = Truth.load(movies / "truth")
    console.print("2 of 4: reconstructing, from the images and their poses alone")
    if (evaluation / "evaluation.json").exists():
        run = Run.open(folder)
    else:
        options, begun = FittingOptions(seed=seed), (folder / CONFIG).exists()
        star = movies / "movies.star"
        run = reconstruct(star, folder, ReadingOptions(), PreprocessingOptions(), options, resume=begun)
        console.print("3 of 4: comparing with the truth")
        # A part of the frames tells as much as all of them, which would take minutes more.
        evaluate(run, truth, evaluation, EvaluationOptions(frames=100, reference_frames=50))
    write_evaluation_figures(evaluation)
    console.print("4 of 4: drawing the pages, writing the volumes of one movie")
    write_report(run)
    page = write_comparison(run, truth, evaluation, output)
    volumes = output / "volumes"
    # The script is written last: without it the volumes are not all there.
    if not (volumes / SCRIPT).exists():
        shutil.rmtree(volumes, ignore_errors=True)
        export_volumes(run, volumes, movie=most_telling_movie(run.latents()))
    return page

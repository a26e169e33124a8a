"""`temporem demo`: the main job from end to end on a molecule whose motion is known."""

import dataclasses
import time
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from temporem.errors import UserError
from temporem.evaluation.evaluate import EvaluationOptions, evaluate
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.progress import console
from temporem.reconstruction.export import export_volumes
from temporem.report.comparison import write_comparison
from temporem.report.evaluation_figures import write_evaluation_figures
from temporem.report.report import write_report
from temporem.report.run_facts import most_telling_movie
from temporem.simulation.recipes import RECIPES
from temporem.simulation.simulate import simulate
from temporem.simulation.truth import Truth

__all__ = ["demo"]


def demo(output: Annotated[Path, arg(aliases=["-o"])] = Path("demo"), seed: int = 0) -> None:
    """Simulate movies of adenylate kinase opening, reconstruct them, and compare the answer with the truth.

    The motion is a molecular dynamics trajectory made by others, from the package MDAnalysisTests. Every
    movie starts somewhere along it and runs either way, so that counting frames tells nothing.

    Args:
        output: The folder to make; look at its index.html.
        seed: Of the simulation and of the fit.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} already exists and is not an empty folder: choose another one with -o.")
    begun = time.monotonic()
    movies, evaluation = output / "movies", output / "run" / "evaluation"
    _, recipe = RECIPES["adk"]
    console.print("1 of 4: simulating movies of adenylate kinase")
    simulate(dataclasses.replace(recipe, twin=True, seed=seed), movies)
    console.print("2 of 4: reconstructing, from the images and their poses alone")
    options = FittingOptions(seed=seed)
    star = movies / "movies.star"
    run = reconstruct(star, output / "run", ReadingOptions(), PreprocessingOptions(), options, resume=False)
    console.print("3 of 4: comparing with the truth")
    truth = Truth.load(movies / "truth")
    # A part of the frames tells as much as all of them, which would take minutes more.
    evaluate(run, truth, evaluation, EvaluationOptions(frames=100, reference_frames=50))
    write_evaluation_figures(evaluation)
    console.print("4 of 4: drawing the pages, writing the volumes of one movie")
    write_report(run)
    page = write_comparison(run, truth, evaluation, output)
    export_volumes(run, output / "volumes", movie=most_telling_movie(run.latents()))
    minutes = (time.monotonic() - begun) / 60
    print(f"Done in {minutes:.1f} minutes. Look at {page}; one movie's volumes are in {output / 'volumes'}.")

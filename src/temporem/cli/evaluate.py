"""`temporem evaluate`: a run against the truth of simulated movies."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.evaluation.compared_runs import forget_comparison
from temporem.evaluation.evaluate import EvaluationOptions
from temporem.evaluation.evaluate import evaluate as compare
from temporem.files import check_folder
from temporem.reconstruction.run import Run
from temporem.report.evaluation_figures import write_evaluation_figures
from temporem.report.report import write_report
from temporem.simulation.truth import Truth

__all__ = ["evaluate"]


def evaluate(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    truth: Path,
    comparison: OmitArgPrefixes[EvaluationOptions],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
) -> None:
    """Compare a run with the truth of simulated movies.

    Args:
        run: Folder made by `temporem reconstruct`.
        truth: Folder `truth` made by `temporem simulate`.
        comparison: What is compared.
        output: Folder to write into; by default `evaluation` in the run folder, which the report shows.
    """
    folder = run / "evaluation" if output is None else output
    check_folder(folder)
    opened, of_run = Run.open(run), folder.resolve() == (run / "evaluation").resolve()
    compare(opened, Truth.load(truth), folder, comparison)
    if of_run:
        forget_comparison(opened)
    write_evaluation_figures(folder)
    print(f"The evaluation is in {folder}" + (f"; look at {write_report(opened)}" if of_run else ""))

"""`temporem compare`: evaluated runs beside each other."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.evaluation.comparable import read_evaluations
from temporem.evaluation.comparison import ComparisonOptions, compare_runs
from temporem.files import check_folder
from temporem.report.comparison_of_runs import write_comparison_of_runs

__all__ = ["compare"]


def compare(
    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN RUN …")]],
    comparison: OmitArgPrefixes[ComparisonOptions],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")] = Path("comparison"),
) -> None:
    """Compare runs that `temporem evaluate` has scored on the same movies.

    Args:
        runs: Run folders with an evaluation, or evaluation folders, of other programs too.
        comparison: Against which run, and how sure.
        output: Folder to write into.
    """
    check_folder(output)
    page = write_comparison_of_runs(compare_runs(read_evaluations(runs), comparison), output)
    print(f"The comparison is in {output}; look at {page}")

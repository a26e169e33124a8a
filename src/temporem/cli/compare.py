"""`temporem compare`: evaluated runs beside each other."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.evaluation.comparable import read_evaluations
from temporem.evaluation.comparison import ComparisonOptions, compare_runs
from temporem.evaluation.null import judge_against_null, pairs_with_null
from temporem.files import check_folder
from temporem.reconstruction.run import CONFIG, Run
from temporem.report.comparison_of_runs import write_comparison_of_runs, write_verdicts
from temporem.report.report import write_report

__all__ = ["compare"]


def compare(
    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN RUN …")]],
    comparison: OmitArgPrefixes[ComparisonOptions],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")] = Path("comparison"),
) -> None:
    """Compare runs that `temporem evaluate` has scored on the same movies, or a run with its null.

    A null is a run of the same movies made with --null shuffle: that comparison needs no truth, and its
    sentence on whether time mattered goes into the run's report too.

    Args:
        runs: Run folders with an evaluation, or evaluation folders, of other programs too.
        comparison: Against which run, and how sure.
        output: Folder to write into.
    """
    check_folder(output)
    pairs = pairs_with_null([Run(path) for path in runs if (path / CONFIG).is_file()])
    verdicts = []
    for run, null in pairs:
        verdicts.append(f"{run.path.name}: {judge_against_null(run, null).sentence}")
        print(verdicts[-1])
        write_report(run)
    evaluated = [path for path in runs if (path / "evaluation" / "evaluation.json").is_file()]
    if verdicts and not evaluated:
        page = write_verdicts(verdicts, output)
    else:
        page = write_comparison_of_runs(compare_runs(read_evaluations(runs), comparison), output, verdicts)
    print(f"The comparison is in {output}; look at {page}")

"""`temporem compare`: evaluated runs beside each other."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.evaluation.comparable import read_evaluations
from temporem.evaluation.compared_runs import sentences_of, tell_runs
from temporem.evaluation.comparison import ComparisonOptions, compare_runs
from temporem.evaluation.null import THIS_NULL, is_null, judge_against_null, pairs_with_null
from temporem.files import check_folder
from temporem.reconstruction.run import CONFIG, Run
from temporem.report.comparison_of_runs import write_comparison_of_runs, write_sentences
from temporem.report.report import write_report

__all__ = ["compare"]


def compare(
    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN RUN …")]],
    comparison: OmitArgPrefixes[ComparisonOptions],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DIR")] = Path("comparison"),
) -> None:
    """Compare runs that `temporem evaluate` has scored on the same movies, or a run with its null.

    A null is a run of the same movies made with --null shuffle: that comparison needs no truth, and its
    sentence on whether time mattered goes into the run's report too. So does, of evaluated runs, by how much
    each is better or worse.

    Args:
        runs: Run folders with an evaluation, or evaluation folders, of other programs too.
        comparison: Against which run, and how sure.
        output: Folder to write into.
    """
    comparison.check()
    check_folder(output)
    opened = [Run(path) for path in runs if (path / CONFIG).is_file()]
    told = [f"{run.path.name}: {THIS_NULL}" for run in opened if is_null(run.config)]
    pairs = pairs_with_null(opened)
    for run, null in pairs:
        told.append(f"{run.path.name}: {judge_against_null(run, null).sentence}")
        print(told[-1])
    changed = [run for run, _ in pairs]
    evaluated = [path for path in runs if (path / "evaluation" / "evaluation.json").is_file()]
    if pairs and not evaluated:
        page = write_sentences(told, output)
    else:
        found = compare_runs(read_evaluations(runs), comparison)
        sentences = sentences_of(found.summary)
        for name in found.summary["improvement"]:
            print(f"{name}: {sentences[name][0]}")
        page = write_comparison_of_runs(found, output, told)
        changed += tell_runs(found.summary)
    for run in {run.path.resolve(): run for run in changed}.values():
        write_report(run)
    print(f"The comparison is in {output}; look at {page}")

"""The folder of one figure: comparisons of its arms, its pictures, and all numbers as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporem.errors import UserError
from temporem.evaluation.comparison import compare_runs
from temporem.evaluation.evaluation_folder import Evaluation, read_evaluation
from temporem.experiments.alignment import check_aligned
from temporem.experiments.claims import MASKS
from temporem.experiments.code import code_digest
from temporem.experiments.declared import Compared
from temporem.experiments.peers import Peers
from temporem.experiments.pictures import Drawn, draw_comparison, draw_trend
from temporem.experiments.running import Cache
from temporem.experiments.steps import Plan, Step, movies_of
from temporem.experiments.updates import check_equal_updates
from temporem.files import write_json
from temporem.reconstruction.run import Run

__all__ = ["FIGURE", "write_figure_folder"]

FIGURE = "figure.json"


def write_figure_folder(plan: Plan, cache: Cache, peers: Peers, output: Path) -> dict[str, Any]:
    """Compare what was computed for a figure and draw it; what is missing is said, not guessed.

    Raises UserError where arms had different numbers of updates, or where one with poses of its own was not
    brought together with the truth.
    """
    entries: list[dict[str, Any]] = []
    pictures: list[dict[str, str]] = []
    for seed in plan.scale.seeds:
        for compared in plan.figure.comparisons:
            evaluations, missing = _evaluations(plan, compared, seed, cache, peers)
            entry: dict[str, Any] = {
                "title": compared.title,
                "data": compared.data,
                "seed": seed,
                "arms": list(compared.arms),
                "at": compared.at,
                "group": compared.group,
                "missing": missing,
            }
            entries.append(entry)
            if len(evaluations) < 2 or compared.arms[-1] not in evaluations:
                continue
            steps = {
                arm: plan.runs[compared.data, arm, seed] for arm in evaluations if _ours(plan, arm, compared)
            }
            runs = {arm: Run.open(cache.path(step.inputs[1]) / "run") for arm, step in steps.items()}
            check_aligned(runs, evaluations)
            comparison = compare_runs(evaluations)
            slug = f"{slug_of(compared.title)}-s{seed}"
            comparison.write(output / slug)
            entry |= {
                "updates": check_equal_updates(runs),
                "seconds": {arm: _seconds(cache, step) for arm, step in steps.items()},
                "devices": sorted({str(run.configured("device")) for run in runs.values()}),
                "comparison": comparison.summary,
                "evaluations": {arm: _beside(x) for arm, x in evaluations.items()},
            }
            if seed == plan.scale.seeds[0]:
                data = plan.data[compared.data, seed]
                truth = cache.path(data) / movies_of(data) / "truth"
                drawn = Drawn(comparison, evaluations, runs, truth)
                for panel in plan.figure.panels:
                    pictures += draw_comparison(panel, drawn, compared.title, output, slug)
    if "trend" in plan.figure.panels:
        pictures += draw_trend(plan.figure, entries, MASKS, output)
    facts = {
        "name": plan.figure.name,
        "title": plan.figure.title,
        "paper": plan.figure.paper.strip(),
        "code": code_digest(),
        "scale": plan.scale.name,
        "seeds": list(plan.scale.seeds),
        "panels": list(plan.figure.panels),
        "seconds": _all_seconds(plan, cache),
        "structures": sorted({Path(path).name for step in plan.steps for _, path, _ in step.files}),
        "peers": sorted({arm for x in plan.figure.comparisons for arm in x.arms if arm in plan.external}),
        "comparisons": entries,
        "pictures": pictures,
    }
    write_json(output / FIGURE, facts)
    return facts


def slug_of(title: str) -> str:
    """A title as a file's name."""
    words = "".join(x if x.isalnum() or x in "-." else " " for x in title.lower()).split()
    return "-".join(words)


def _ours(plan: Plan, arm: str, compared: Compared) -> bool:
    return any((compared.data, arm, seed) in plan.runs for seed in plan.scale.seeds)


def _evaluations(
    plan: Plan, compared: Compared, seed: int, cache: Cache, peers: Peers
) -> tuple[dict[str, Evaluation], dict[str, str]]:
    """What there is of the arms, in their order, and of the others why not."""
    found: dict[str, Evaluation] = {}
    missing: dict[str, str] = {}
    for arm in compared.arms:
        step: Step | None = plan.runs.get((compared.data, arm, seed))
        if step is None:
            data, external = plan.data[compared.data, seed], plan.external
            brought = peers.evaluation(external[arm], compared.data, seed, data.key)
            if brought is None:
                missing[arm] = f"no evaluation was brought (--peer, folder {movies_of(data)}/{external[arm]})"
            else:
                found[arm] = brought
        elif cache.done(step):
            found[arm] = read_evaluation(cache.path(step) / "evaluation")
        else:
            missing[arm] = "not computed, or it failed"
    return _of_one_truth(plan, compared, seed, found, missing), missing


def _of_one_truth(
    plan: Plan, compared: Compared, seed: int, found: Mapping[str, Evaluation], missing: dict[str, str]
) -> dict[str, Evaluation]:
    """Leave out what a person brought and is of other movies."""
    ours = {arm: x for arm, x in found.items() if (compared.data, arm, seed) in plan.runs}
    kept: dict[str, Evaluation] = {}
    for arm, evaluation in found.items():
        if arm in ours or not ours:
            kept[arm] = evaluation
            continue
        try:
            compare_runs({arm: evaluation, **dict([next(iter(ours.items()))])})
        except UserError as error:
            missing[arm] = str(error)
        else:
            kept[arm] = evaluation
    return kept


def _seconds(cache: Cache, step: Step) -> float | None:
    """Of the arm's reconstruction; None where it was interrupted and taken up again."""
    record = cache.record(step.inputs[1])
    return None if record["resumed"] else float(record["seconds"])


def _all_seconds(plan: Plan, cache: Cache) -> float | None:
    """Of all steps, one after the other; None where one is missing, or was interrupted."""
    if not all(cache.done(x) for x in plan.steps):
        return None
    records = [cache.record(x) for x in plan.steps]
    return None if any(x["resumed"] for x in records) else float(sum(x["seconds"] for x in records))


def _beside(evaluation: Evaluation) -> dict[str, Any]:
    """What an evaluation knows that a comparison does not: references, latents, poses of its own, and how
    long another program was trained."""
    summary = evaluation.summary
    references = {name: x for name, x in summary["methods"].items() if name != "run"}
    kept = (
        "run_on_reference_frames",
        "latent_agreement",
        "latent_manifold",
        "phase_randomised_floor",
        "alignment",
        "epoch",
        "epochs_trained",
        "core_seconds",
    )
    return {"references": references} | {name: summary[name] for name in kept if name in summary}

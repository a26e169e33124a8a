"""How long each arm was trained, as its run recorded it: networks compared must have had equal updates."""

from collections.abc import Mapping

from temporem.errors import UserError
from temporem.reconstruction.run import Run

__all__ = ["check_equal_updates", "updates_of"]


def updates_of(run: Run) -> int:
    """Updates of the networks in all stages: passes that were recorded, times the batches of a pass.

    Passes of the linear model before them are not counted: their records have no KL term. 0 without networks.
    """
    fitting = run.configured("fitting")
    movies, frames = int(run.configured("movies")), int(run.configured("frames"))
    movies_per_batch: int = max(1, fitting["frames_per_batch"] * movies // frames)
    passes = sum(1 for record in run.metrics() if "kl" in record)
    return passes * -(-movies // movies_per_batch)


def check_equal_updates(runs: Mapping[str, Run]) -> dict[str, int]:
    """The number of updates of each of these runs.

    Raises UserError where those of runs with networks differ.
    """
    updates = {name: updates_of(run) for name, run in runs.items()}
    if len(set(updates.values()) - {0}) > 1:
        told = ", ".join(f"{name} {count}" for name, count in updates.items() if count)
        raise UserError(
            f"arms were compared that had different numbers of updates ({told}): mend their options."
        )
    return updates

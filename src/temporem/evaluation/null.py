"""Whether time mattered: a run against its null, the same movies with their frames in random order.

Both runs have foretold every frame of movies left out from the other frames of its movie
(`fitting.held_out`). What the order adds is the difference of the two scores.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from temporem.errors import UserError
from temporem.files import write_json
from temporem.reconstruction.run import Run

__all__ = [
    "THIS_NULL",
    "NullVerdict",
    "is_null",
    "judge_against_null",
    "noted_name",
    "pairs_with_null",
    "verdict_against_null",
]

THIS_NULL = (
    "This run is a null: the frames of every movie were put in random order, so that nothing here was learnt"
    " from time."
)

NULL_FILE = "null.json"
"""In the folder of the run that was compared with its null."""


@dataclass(frozen=True)
class NullVerdict:
    """What the order of the frames adds."""

    null: str
    """Folder of the null."""
    components: int
    """Of the linear model that both scores are of."""
    gain: float
    """Log likelihood of frames foretold in order, above that in random order, in nats a frame."""
    standard_error: float
    """Over movies; the two runs taken as independent, though they share their noise: it errs on the large
    side."""

    @property
    def time_mattered(self) -> bool:
        """Whether the gain is beyond two standard errors."""
        return self.gain > 2 * self.standard_error

    @property
    def sentence(self) -> str:
        """For people."""
        told = f"{abs(self.gain):.3g} ± {self.standard_error:.2g} nats a frame"
        direction = "worse" if self.gain >= 0 else "better"
        what = "Time mattered" if self.time_mattered else "Time did not matter beyond doubt"
        return f"{what}: with the frames of every movie in random order they are foretold {told} {direction}."


def is_null(config: Mapping[str, Any]) -> bool:
    """Whether a run's configuration says that its frames were in random order."""
    return (config.get("reading") or {}).get("null") == "shuffle"


def noted_name(run: Run) -> str:
    """Name of the run's folder, with a note where the run is a null."""
    return run.path.resolve().name + (" (null: frames in random order)" if is_null(run.config) else "")


def pairs_with_null(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Each run with each null among `runs` that was made of the same movies."""
    configs = [run.config for run in runs]
    return [
        (run, null)
        for run, of_run in zip(runs, configs, strict=True)
        for null, of_null in zip(runs, configs, strict=True)
        if not is_null(of_run) and is_null(of_null) and _same_movies(of_run, of_null)
    ]


def judge_against_null(run: Run, null: Run) -> NullVerdict:
    """Compare the scores of frames left out; the verdict is left in the run's folder as `null.json`.

    Raises UserError where one of them held no frames out.
    """
    ours, theirs = (_scores(x) for x in (run, null))
    components = str(run.config["held_out"]["best_latent_dim"])
    first, second = ours[components], theirs[components]
    verdict = NullVerdict(
        str(null.path.resolve()),
        int(components),
        first["nats_per_frame"] - second["nats_per_frame"],
        math.hypot(first["standard_error"], second["standard_error"]),
    )
    write_json(run.path / NULL_FILE, asdict(verdict) | {"sentence": verdict.sentence})
    return verdict


def verdict_against_null(run: Run) -> NullVerdict | None:
    """What `judge_against_null` left in the run's folder; None where it was not compared.

    Raises UserError where it cannot be read.
    """
    path = run.path / NULL_FILE
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return NullVerdict(**{x.name: told[x.name] for x in fields(NullVerdict)})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): run temporem compare again.") from None


def _same_movies(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    def key(config: Mapping[str, Any]) -> tuple[Any, ...]:
        reading = config.get("reading") or {}
        return config.get("input"), reading.get("movie_table"), reading.get("half"), config.get("frames")

    return key(one) == key(other)


def _scores(run: Run) -> dict[str, dict[str, float]]:
    held_out: dict[str, Any] = run.config.get("held_out") or {}
    if not held_out:
        raise UserError(
            f"{run.path} held no frames out, so that it cannot be compared with its null: that takes four"
            " movies or more, and a run that was finished."
        )
    scores: dict[str, dict[str, float]] = held_out["by_latent_dim"]
    return scores

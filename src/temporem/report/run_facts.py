"""What a report says of a run in numbers and words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from temporem.reconstruction.latents_file import latent_columns

__all__ = ["evenly_spaced", "flat", "losses", "most_telling_movie", "time_label"]

STEPS = ("step", "update", "epoch")
"""Names under which a record of the fit may count, the finest first."""
STAGE = "stage"


def most_telling_movie(latents: pd.DataFrame) -> str:
    """Return the movie whose latents travel most, among those at least as long as the median."""
    columns = latent_columns(latents)
    lengths = latents.groupby("movie", sort=False).size()
    long_enough = lengths.index[lengths >= lengths.median()]
    spread = latents.groupby("movie", sort=False)[columns].var().sum(axis=1)
    return str(spread[long_enough].idxmax())


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of 0 … count − 1, with both ends."""
    return sorted({int(x) for x in np.linspace(0, count - 1, min(count, most)).round()})


def time_label(config: Mapping[str, Any]) -> str:
    """Return "time" with its unit, where the run knows it."""
    return f"time ({config['time_unit']})" if "time_unit" in config else "time"


def losses(records: list[dict[str, Any]]) -> tuple[pd.DataFrame, list[str], str, str | None]:
    """The fit's records as a table, the terms worth a curve, the column that counts, and the stage's."""
    metrics = pd.DataFrame(records)
    step = next((x for x in STEPS if x in metrics), None)
    if step is None:
        metrics, step = metrics.assign(record=np.arange(len(metrics))), "record"
    numbers = metrics.select_dtypes("number").columns
    terms = [x for x in numbers if x not in (*STEPS, "record", "seconds") and metrics[x].nunique() > 1]
    return metrics, terms, step, STAGE if STAGE in metrics else None


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """A nested configuration as one level of names and texts, in its order."""
    if isinstance(value, list | tuple):
        return {prefix: " ".join(f"{x:.4g}" if isinstance(x, float) else str(x) for x in value)}
    if not isinstance(value, Mapping):
        return {prefix: "—" if value is None else str(value)}
    entries: dict[str, str] = {}
    for key, item in value.items():
        entries |= flat(item, f"{prefix}.{key}" if prefix else str(key))
    return entries

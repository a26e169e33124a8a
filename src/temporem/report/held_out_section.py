"""What a run knows of itself without a truth: held-out frames, in the report."""

from collections.abc import Mapping
from html import escape
from typing import Any

from temporem.report.page import section, table

__all__ = ["held_out_section"]


def held_out_section(held_out: Mapping[str, Any], against_null: str = "") -> str:
    """Sentences on motion, time and volumes, and the scores by number of components; empty for no scores.

    `against_null`: what a comparison with the null said.
    """
    if not held_out:
        return ""
    volumes = held_out.get("of_volumes", {}).get("volumes", "")
    sentences = (held_out["motion"], held_out["time"], volumes, against_null)
    rows = [
        [dimension, _number(score), _number(held_out["gain_of_time"][dimension])]
        for dimension, score in held_out["by_latent_dim"].items()
    ]
    explained = (
        '<p class="soft">Log likelihood of the frames of movies that the components were not fitted to, in'
        " nats a frame with its standard error over movies: above one volume for all frames, and what knowing"
        " the other frames of the movie adds.</p>"
    )
    text = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences if sentence)
    header = ["components", "above one volume", "from other frames"]
    return section("Held-out frames", text + table(header, rows) + explained)


def _number(score: Mapping[str, Any]) -> str:
    return f"{score['nats_per_frame']:.2f} ± {score['standard_error']:.2f}"

"""What held-out scores say, in sentences."""

from typing import Any

from temporem.fitting.held_out.score import HeldOutScore
from temporem.fitting.held_out.subspace import SubspaceScores

__all__ = [
    "motion_found",
    "motion_sentence",
    "score_facts",
    "subspace_facts",
    "time_sentence",
    "volumes_sentence",
]


def motion_found(scores: SubspaceScores) -> bool:
    """Whether volumes that change foretell frames better than one does, and the frames' order counts."""
    return scores.by_dimension[scores.best].is_positive and scores.order[scores.best].is_positive


def motion_sentence(scores: SubspaceScores) -> str:
    """Whether anything moves."""
    score, order = scores.by_dimension[scores.best], scores.order[scores.best]
    components = "1 component foretells" if scores.best == 1 else f"{scores.best} components foretell"
    better = f"{components} frames of other movies better than one volume does, by {score}"
    if motion_found(scores):
        return (
            f"Motion found: {better}; with the frames of each movie in random order they are foretold worse"
            f" than in order, by {order}."
        )
    if score.is_positive:
        return (
            f"No motion found, but states that differ: {better}; the frames' order tells nothing ({order}):"
            " molecules differ from each other, or change at random from one frame to the next."
        )
    return (
        "No motion found: volumes that change foretell frames of other movies no better than one volume does"
        f" ({score})."
    )


def time_sentence(scores: SubspaceScores) -> str:
    """Whether the other frames of a movie tell of a frame's state; empty where all frames show one state."""
    if not scores.by_dimension[scores.best].is_positive:
        return ""
    score = scores.time[scores.best]
    if score.is_positive:
        return f"Time helps: knowing the other frames of a movie foretells a frame better, by {score}."
    return f"Time does not help: the other frames of a movie tell nothing of a frame's state ({score})."


def volumes_sentence(score: HeldOutScore) -> str:
    """How well volumes do, at states that only the other frames of a movie tell."""
    how = "The linear method's volumes of half of the movies foretell the others' frames"
    if score.is_positive:
        return f"{how} better than their consensus does, by {score}."
    return f"{how} no better than their consensus does ({score})."


def subspace_facts(scores: SubspaceScores) -> dict[str, Any]:
    """Scores and sentences, as JSON holds them."""
    return {
        "motion_found": motion_found(scores),
        "motion": motion_sentence(scores),
        "time": time_sentence(scores),
        "best_latent_dim": scores.best,
        "by_latent_dim": {str(d): score_facts(score) for d, score in scores.by_dimension.items()},
        "gain_of_time": {str(d): score_facts(score) for d, score in scores.time.items()},
        "gain_of_order": {str(d): score_facts(score) for d, score in scores.order.items()},
    }


def score_facts(score: HeldOutScore) -> dict[str, float | int]:
    """One score, as JSON holds it."""
    return {
        "nats_per_frame": score.nats_per_frame,
        "standard_error": score.standard_error,
        "frames": score.frames,
        "movies": score.movies,
    }

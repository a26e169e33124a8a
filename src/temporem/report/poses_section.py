"""Where a run's poses are from, and how far they are to be trusted, in the report."""

from collections.abc import Mapping
from html import escape
from typing import Any

from temporem.report.page import section, table

__all__ = ["alignment_part", "poses_section"]


def poses_section(poses: Mapping[str, Any]) -> str:
    """What is said of poses that the run refined or found; empty for poses as given."""
    if "words" not in poses:
        return ""
    warning = poses.get("warning", "")
    parts = [f"<p><strong>{escape(warning)}</strong></p>"] if warning else []
    told = (poses["words"], poses.get("with_motion", {}).get("words", ""), poses.get("tumbling", ""))
    parts += [f"<p>{escape(sentence)}</p>" for sentence in told if sentence]
    if "median_degrees_from_best" in poses:
        rows = [
            [str(index + 1), f"{score:.1f}", f"{apart:.1f}"]
            for index, (score, apart) in enumerate(
                zip(poses["log_likelihood_of_starts"], poses["median_degrees_from_best"], strict=True)
            )
        ]
        header = ["random start", "log likelihood of frames left out", "median degrees from the best"]
        parts.append(table(header, rows))
    return section("Poses", *parts)


def alignment_part(alignment: Mapping[str, Any] | None) -> str:
    """The errors of the poses after run and truth were brought together; empty where they were not."""
    if alignment is None:
        return ""
    errors = alignment["pose_errors"]
    hand = "; the run has the other hand" if alignment["mirrored"] else ""
    return (
        f"<p>Run and truth were brought together by one rotation, shift and hand{hand}. The poses then err by"
        f" {errors['median_rotation_in_degrees']:.1f}° in the median (90 % within"
        f" {errors['percentile_90_rotation_in_degrees']:.1f}°), the shifts by"
        f" {errors['median_shift_in_angstroms']:.1f} Å (90 % within"
        f" {errors['percentile_90_shift_in_angstroms']:.1f} Å).</p>"
    )

"""One figure's section of `results.md`: its command, and tables of what was found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from temporem.experiments.claims import MASKS, interval

__all__ = ["section"]

POSES = """Poses of these arms are their own. The truth was brought to each by one rotation, shift and hand
for all frames (`evaluate --align`) before its volumes were scored, and the masks were made anew there; arms
not listed were scored where the given poses put them. The errors of the poses that remain:
"""
LATENTS = """What the latents tell of the true state, of all images (the meaning of each figure:
[What each figure means](figures.md)):
"""
MANIFOLD = (
    "ordering_spearman",
    "silhouette",
    "category_accuracy",
    "largest_category",
    "step_ratio",
    "state_step_ratio",
)


def section(name: str, figure: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Markdown from the facts of `figure.json` in the folder `name`."""
    entries = figure["comparisons"]
    seeds = " ".join(str(x) for x in figure["seeds"])
    yield f"## {name}: {figure['title']}\n"
    yield f"{figure['paper']}\n"
    command = f"temporem reproduce {name} --scale {figure['scale']} --seeds {seeds}"
    command += " --peer PEERS" if figure["peers"] else ""
    yield f"<!-- test: parse -->\n```sh\n{command}\n```\n"
    yield (
        "| comparison | seed | arm | whole (Å) | moving (Å) | of mean curves (Å) "
        "| whole improved | moving improved | PSNR (dB), SSIM | updates | s |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for entry in entries:
        yield from _rows(entry)
    yield ""
    yield from _facts(figure)
    if "latents" in figure["panels"]:
        yield LATENTS
        yield (
            "| comparison | seed | arm | state, linear R² | by neighbours, R² | rank correlation "
            "| of the order | silhouette | category by neighbours | chance | step ratio | the truth's |"
        )
        yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
        yield from _latents(entries)
        yield ""
    poses = list(_poses(entries))
    if poses:
        yield POSES
        yield (
            "| comparison | seed | arm | rotation, median (°) | 90 % within (°) "
            "| shift, median (Å) | 90 % within (Å) | hand |"
        )
        yield "|---|---|---|---|---|---|---|---|"
        yield from poses
        yield ""
    references = list(_references(entries))
    if references:
        yield "References on the same images (back-projection; on fewer frames, the run beside them):\n"
        yield "| data | seed | method | whole (Å) | moving (Å) |"
        yield "|---|---|---|---|---|"
        yield from references
        yield ""


def _facts(figure: Mapping[str, Any]) -> Iterator[str]:
    """What was scored, how long it took, what computed, and what is missing."""
    entries = figure["comparisons"]
    made = [x["comparison"] for x in entries if "comparison" in x]
    scored = dict.fromkeys(f"{x['frames']} frames of {x['movies']} movies" for x in made)
    yield f"Scored: {', '.join(scored) or '–'}. Structures: {', '.join(figure['structures']) or '–'}.\n"
    devices = sorted({x for entry in entries for x in entry.get("devices", ())})
    yield f"Seconds of the reconstruction where it was not interrupted, on: {', '.join(devices) or '–'}.\n"
    if figure["seconds"] is not None:
        yield f"All steps, one after the other: {figure['seconds']:.0f} s.\n"
    yield f"Code that computed: {figure['code'][:12]}.\n"
    trained = dict.fromkeys(_trained(entries))
    if trained:
        yield f"Other programs, at the best of the epochs scored: {'; '.join(trained)}.\n"
    missing = {f"{arm}: {why}" for entry in entries for arm, why in entry["missing"].items()}
    if missing:
        yield f"Left out: {'; '.join(sorted(missing))}.\n"


def _rows(entry: Mapping[str, Any]) -> Iterator[str]:
    title, seed = entry["title"], entry["seed"]
    if "comparison" not in entry:
        yield f"| {title} | {seed} | not compared | | | | | | | | |"
        return
    comparison = entry["comparison"]
    for arm, figures in comparison["runs"].items():
        cells = [_resolved(figures[mask], comparison["frames"]) if mask in figures else "" for mask in MASKS]
        curves = [figures[x]["resolution_in_angstroms"]["of_mean_curve"] for x in MASKS if x in figures]
        cells.append(" / ".join(f"{x['value']:.2f}" for x in curves))
        gain = comparison["improvement"].get(arm)
        gains = [_gained(gain[mask]["at_half"]) if gain and mask in gain else "baseline" for mask in MASKS]
        seconds = entry["seconds"].get(arm)
        quality = f"{figures['psnr_in_decibels']['value']:.1f}, {figures['ssim']['value']:.3f}"
        effort = [quality, str(entry["updates"].get(arm) or ""), "" if seconds is None else f"{seconds:.0f}"]
        yield f"| {title} | {seed} | {arm} | {' | '.join([*cells, *gains, *effort])} |"


def _resolved(figures: Mapping[str, Any], frames: int) -> str:
    told = interval(figures["resolution_in_angstroms"]["mean_over_frames"], ".2f")
    nyquist = figures["frames_at_nyquist"]
    return f"{told}, {nyquist / frames:.0%} at Nyquist" if nyquist else told


def _gained(gain: Mapping[str, Any]) -> str:
    percent = interval(gain["mean_over_frames"]["percent"], "+.2f")
    tied = gain["fraction_tied"]["value"]
    equal = f", {tied:.0%} tied" if tied else ""
    return f"{percent} %, {gain['fraction_improved']['value']:.1%} of the frames{equal}"


def _trained(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if "epoch" in known:
                seconds = known.get("core_seconds")
                effort = "" if seconds is None else f", {seconds:.0f} s of a processor"
                until = known.get("epochs_trained")
                whole = "" if until is None else f" of {until}"
                # The last epoch being the best, more could have made it better.
                still = ", still improving" if until == known["epoch"] else ""
                where = f"{arm} on {entry['data']}, seed {entry['seed']}"
                yield f"{where}, epoch {known['epoch']}{whole}{effort}{still}"


def _latents(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            agreement, manifold = known.get("latent_agreement"), known.get("latent_manifold")
            if not agreement or not manifold:
                continue
            figures = [agreement[x] for x in ("linear_r_squared", "neighbour_r_squared", "spearman")]
            figures += [manifold.get(x) for x in MANIFOLD]
            cells = ["" if x is None else f"{x:.3f}" for x in figures]
            yield f"| {entry['title']} | {entry['seed']} | {arm} | {' | '.join(cells)} |"


def _poses(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if "alignment" not in known:
                continue
            errors = known["alignment"]["pose_errors"]
            cells = [
                f"{errors[f'{what}_{name}']:.2f}"
                for name in ("rotation_in_degrees", "shift_in_angstroms")
                for what in ("median", "percentile_90")
            ]
            hand = "the other" if known["alignment"]["mirrored"] else "the truth's"
            yield f"| {entry['title']} | {entry['seed']} | {arm} | {' | '.join(cells)} | {hand} |"


def _references(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    seen = set()
    for entry in entries:
        for arm, known in entry.get("evaluations", {}).items():
            if not known["references"] or (entry["data"], entry["seed"]) in seen:
                continue
            seen.add((entry["data"], entry["seed"]))
            rows = {arm: known["run_on_reference_frames"], **known["references"]}
            for name, floor in known.get("phase_randomised_floor", {}).items():
                rows.setdefault(f"{arm}, phases randomised", {})[name] = floor
            for method, figures in rows.items():
                cells = [
                    f"{figures[mask]['resolution_in_angstroms']['mean_over_frames']:.2f}"
                    if mask in figures
                    else ""
                    for mask in MASKS
                ]
                yield f"| {entry['data']} | {entry['seed']} | {method} | {' | '.join(cells)} |"

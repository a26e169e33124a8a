"""Half-movie FSC: two halves of the movies fitted apart, and how far their volumes agree, without a truth.

Every second movie makes a half; each half finds its own mask, subspace, states, motion and density. They
share the poses, given or found from all movies, and the settings; not the seed, so that what the data do
not say is not said twice alike. A state of the run means a state of each half through maps learnt on the
frames that the run and that half have both seen (`latent_map`). At the same state the two halves' volumes
are then correlated, inside the run's mask, beside a floor of randomised phases (Chen et al. 2013,
Ultramicroscopy 135, 24) that is also taken out: (F − floor) / (1 − floor).

F = 0.143 between halves is where a volume of all movies would correlate with the truth at 0.5 (Rosenthal
and Henderson 2003, J. Mol. Biol. 333, 721), had both halves no error in common. They do have: the
method's own, such as too stiff a motion or a density of Gaussians, and the choice of the state. On
simulated movies 0.143 promises more than the truth bears out, and 0.5 does not (docs/belief.md); so 0.5
is what is said first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.evaluation.evaluation_folder import write_table
from temporem.evaluation.fsc import correlate, resolution_at, spectrum
from temporem.evaluation.latent_map import LatentMap, fit_latent_map
from temporem.evaluation.local_resolution import local_resolution
from temporem.evaluation.over_time import curves_over_time
from temporem.evaluation.phase_randomise import first_randomised_shell, randomise_phases
from temporem.files import write_json
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.progress import console, progress
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.reconstruction.uncertainty import CORRELATIONS, SPREAD, SUMMARY
from temporem.reconstruction.volume_file import write_volume
from temporem.seeds import check_seed

__all__ = [
    "HALVES",
    "HalvesOptions",
    "compare_halves",
    "fit_halves",
    "halves_sentence",
    "write_local_resolutions",
]

HALVES: tuple[Literal["first", "second"], ...] = ("first", "second")
THRESHOLD, LENIENT = 0.5, 0.143
FRAMES_FOR_FLOOR = 32
RUNS_DONE = "half_done"
CURVES = ("whole", "masked", "corrected", "motion")
"""Whole box; inside the run's mask; the same less the floor; and inside the mask the correlation, over all
frames together, of their differences from the mean volume of their half: of the motion alone."""


@dataclass(frozen=True)
class HalvesOptions:
    """What is compared."""

    frames: int = 200
    """Compare the halves at the states of this many frames, drawn at random."""
    seed: int = 0
    """Of the frames drawn, and of the random phases behind the floor."""

    def check(self) -> None:
        """Raise UserError for a number that makes no sense."""
        if self.frames < 2:
            raise UserError(f"--frames is {self.frames}, but must be at least 2: choose another value.")
        check_seed(self.seed)


def fit_halves(run: Run, folder: Path) -> tuple[Run, Run]:
    """Fit each half of the run's movies with the run's settings, into `folder/first` and `folder/second`.

    Halves that are there are kept, and one that was interrupted goes on.

    Raises UserError for fewer than four movies, and for what is wrong with a half.
    """
    reading, preprocessing = run.options()
    if reading.half is not None:
        raise UserError(f"{run.path} is a run of half of the movies: give the run of all.")
    if run.latents()["movie"].nunique() < 4:
        raise UserError(f"{run.path} has fewer than four movies: halves of so few tell nothing.")
    # Known from all images, and no more than their gray scale.
    preprocessing = replace(preprocessing, sign="bright" if run.configured("sign") > 0 else "dark")
    fitting = FittingOptions(**run.configured("fitting"))
    if fitting.method == "hetem" or fitting.pose_network:
        raise UserError(
            f"{run.path} has poses that a network found along with its states: no halves of it yet."
        )
    if run.poses_found:
        # Those of all movies: halves with poses of their own would lie each in another orientation.
        reading = replace(reading, poses=run.poses_path)
        fitting = replace(fitting, poses="given")
    halves = []
    for turn, half in enumerate(HALVES):
        path = folder / half
        begun = (path / "config.json").is_file()
        if not (begun and Run.open(path).config.get(RUNS_DONE)):
            console.print(f"{turn + 1} of 2: fitting the {half} half of the movies")
            own = replace(fitting, seed=(fitting.seed + turn) % 2**32)
            source = Path(run.configured("input"))
            reconstruct(source, path, replace(reading, half=half), preprocessing, own, resume=begun)
            Run(path).update_config(**{RUNS_DONE: True})
        halves.append(Run.open(path))
    return halves[0], halves[1]


def compare_halves(run: Run, halves: tuple[Run, Run], output: Path, options: HalvesOptions) -> dict[str, Any]:
    """Correlate the halves' volumes at the run's states; write `output` and return the summary.

    - `halves.json`: resolutions, and how well the run's states tell each half's.
    - `fsc.csv`: mean, 10th and 90th percentile over frames of every curve, and the floor, by shell.
    - `frames.csv`: a row per frame compared. `fsc_over_time.csv`: mean curves by frame index.
    - `spread.mrc`: root mean square over frames of half the difference of the halves: by voxel, the standard
      error of the run's volumes that comes from its finite data.
    """
    options.check()
    latents = run.latents()
    # At random: evenly spaced ones may be of some frame indices only.
    random = np.random.default_rng(options.seed)
    chosen = np.sort(random.choice(len(latents), min(options.frames, len(latents)), replace=False))
    shown = latents.iloc[chosen]
    maps, states = _states_of_halves(latents, halves, chosen)
    with progress("Comparing the halves", 2 * len(chosen)) as advance:
        told, spread = _correlations(halves, states, run.mask(), advance)
    beneath = _floor(halves, states, run.mask(), told["whole"].mean(0), options.seed)
    told["corrected"] = (told["masked"] - beneath) / (1 - beneath).clamp(min=1e-6)
    box, pixel = len(beneath) * 2 - 2, run.pixel_size_in_angstroms
    write_volume(output / SPREAD, spread, pixel)
    write_table(output / CORRELATIONS, _fsc_table(told, beneath, box * pixel))
    write_table(output / "frames.csv", _frames_table(shown, told, box, pixel))
    over_time = {name: told[name] for name in ("corrected", "masked")}
    frame = shown["frame"].to_numpy(np.int64)
    write_table(output / "fsc_over_time.csv", curves_over_time(frame, over_time, box * pixel))
    summary = {
        "frames": len(chosen),
        "box_size": box,
        "pixel_size_in_angstroms": pixel,
        "resolution_in_angstroms": {name: _resolutions(told[name], box, pixel, THRESHOLD) for name in CURVES},
        "at_0.143_in_angstroms": {name: _resolutions(told[name], box, pixel, LENIENT) for name in CURVES},
        # Each latent counts by how much it moves the volumes.
        "states_told_r_squared": [to_half.r_squared for to_half in maps],
        "degree_of_maps": [to_half.degree for to_half in maps],
        "answers": [half.config.get("answer_of") for half in halves],
        "latent_dims": [half.config.get("latent_dim") for half in halves],
    }
    write_json(output / SUMMARY, summary)
    return summary


def write_local_resolutions(
    run: Run, halves: tuple[Run, Run], rows: Sequence[int], output: Path
) -> list[Path]:
    """Write a map of the local resolution (Å, FSC 0.5 between the halves) for each of these image rows.

    Inside the run's mask; 0 outside. Names sort in the order of the rows.
    """
    latents = run.latents()
    chosen = np.array([np.flatnonzero(latents["image"] == row)[0] for row in rows])
    _, states = _states_of_halves(latents, halves, chosen)
    mask, paths = run.mask(), []
    with progress("Local resolution", len(rows)) as advance:
        for position, (row, pair) in enumerate(zip(rows, _pairs(halves, states), strict=True)):
            paths.append(output / f"local_{position:05d}_image_{row:06d}.mrc")
            found = local_resolution(*pair, mask, run.pixel_size_in_angstroms, THRESHOLD)
            write_volume(paths[-1], found, run.pixel_size_in_angstroms)
            advance(1, "")
    return paths


def halves_sentence(summary: dict[str, Any]) -> str:
    """What the halves say, for people: one sentence."""
    (volume, motion), (lenient, of_motion) = (
        [summary[name][curve]["mean_over_frames"] for curve in ("corrected", "motion")]
        for name in ("resolution_in_angstroms", "at_0.143_in_angstroms")
    )
    told = (
        f"Two halves of the movies, fitted apart, agree on a frame's volume to {volume:.1f} Å and on how it"
        f" differs from the mean to {motion:.1f} Å (FSC 0.5; at 0.143, {lenient:.1f} and {of_motion:.1f} Å)"
    )
    if len(set(summary["answers"])) > 1:
        told += f"; one half chose {summary['answers'][0]} volumes and the other {summary['answers'][1]} ones"
    return f"{told}."


def _states_of_halves(
    latents: pd.DataFrame, halves: Sequence[Run], chosen: npt.NDArray[np.integer]
) -> tuple[list[LatentMap], list[Float[Tensor, "frames _"]]]:
    """Of the rows chosen from the run's latents: the states in each half, and the maps to them."""
    maps = [_map_to(latents, half) for half in halves]
    return maps, [_states(to_half, latents, chosen, half) for to_half, half in zip(maps, halves, strict=True)]


def _map_to(latents: pd.DataFrame, half: Run) -> LatentMap:
    """From the run's latents to a half's, on the half's frames."""
    own = half.latents()
    shared = latents[_seen_by(latents, own)]
    if len(shared) != len(own) or not np.array_equal(shared["movie"], own["movie"]):
        raise UserError(f"{half.path} is not of the run's movies: delete it and repeat the command.")
    movie = pd.factorize(own["movie"])[0]
    return fit_latent_map(
        shared[latent_columns(latents)].to_numpy(np.float64),
        own[latent_columns(own)].to_numpy(np.float64),
        movie,
        _weights(half, own),
    )


def _weights(half: Run, own: pd.DataFrame) -> npt.NDArray[np.float64]:
    """How much each latent of a half moves its volumes: squared change over a unit about the mean state."""
    mean = torch.from_numpy(own[latent_columns(own)].to_numpy(np.float32).mean(0))
    steps = 0.5 * torch.eye(len(mean))
    pairs = zip(half.volumes_at(mean + steps), half.volumes_at(mean - steps), strict=True)
    return np.array([float((ahead - behind).square().sum()) for ahead, behind in pairs])


def _seen_by(latents: pd.DataFrame, own: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """The run's rows of a half's movies; these keep the run's order."""
    return latents["movie"].isin(own["movie"].unique()).to_numpy()


def _states(
    to_half: LatentMap, latents: pd.DataFrame, chosen: npt.NDArray[np.integer], half: Run
) -> Float[Tensor, "frames latent"]:
    """Of frames of the run, a half's own states where it has seen them, else those that the map gives."""
    own = half.latents()
    states = to_half(latents[latent_columns(latents)].to_numpy(np.float32))
    states[_seen_by(latents, own)] = own[latent_columns(own)].to_numpy(np.float32)
    return torch.from_numpy(states[chosen])


def _correlations(
    halves: Sequence[Run],
    states: Sequence[Float[Tensor, "frames _"]],
    mask: Float[Tensor, "n n n"],
    advance: Callable[[int, str], None],
) -> tuple[dict[str, Float[Tensor, "frames shells"]], Float[Tensor, "n n n"]]:
    """Curves at these states, and the root mean square of half the halves' difference."""
    means = [torch.zeros_like(mask), torch.zeros_like(mask)]
    for pair in _pairs(halves, states):
        for mean, volume in zip(means, pair, strict=True):
            mean += volume / len(states[0])
        advance(1, "")
    curves: dict[str, list[Tensor]] = {"whole": [], "masked": []}
    product, powers = torch.zeros(()), [torch.zeros(()), torch.zeros(())]
    squared = torch.zeros_like(mask)
    for pair in _pairs(halves, states):
        curves["whole"].append(_correlation(pair, None))
        curves["masked"].append(_correlation(pair, mask))
        one, other = (spectrum((x - mean) * mask) for x, mean in zip(pair, means, strict=True))
        product = product + correlate(one, other) * (one.power * other.power).sqrt()
        powers = [total + x.power for total, x in zip(powers, (one, other), strict=True)]
        squared += ((pair[0] - pair[1]) / 2).square()
        advance(1, "")
    spread = (squared / len(states[0])).sqrt()
    told = {name: torch.stack(values).float() for name, values in curves.items()}
    told["motion"] = (product / (powers[0] * powers[1]).sqrt().clamp(min=1e-30)).float()[None]
    return told, spread


def _floor(
    halves: Sequence[Run],
    states: Sequence[Float[Tensor, "frames _"]],
    mask: Float[Tensor, "n n n"],
    whole: Float[Tensor, " shells"],
    seed: int,
) -> Float[Tensor, " shells"]:
    """Mean correlation under the mask of some pairs with random phases; 0 where phases were kept."""
    some = torch.linspace(0, len(states[0]) - 1, min(FRAMES_FOR_FLOOR, len(states[0]))).round().long()
    generator, first = torch.Generator().manual_seed(seed), first_randomised_shell(whole)
    curves = [
        _correlation([randomise_phases(volume, first, generator) for volume in pair], mask)
        for pair in _pairs(halves, [at[some] for at in states])
    ]
    floor = torch.stack(curves).float().mean(0)
    # Beside the first shell with random phases the mask brings kept ones over (RELION begins as late).
    floor[: first + 2] = 0.0
    return floor


def _pairs(
    halves: Sequence[Run], states: Sequence[Float[Tensor, "frames _"]]
) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(halves[0].volumes_at(states[0]), halves[1].volumes_at(states[1]), strict=True)


def _correlation(pair: Sequence[Tensor], mask: Tensor | None) -> Float[Tensor, " shells"]:
    one, other = (spectrum(volume if mask is None else volume * mask) for volume in pair)
    return correlate(one, other)


def _resolutions(curves: Tensor, box: int, pixel: float, threshold: float) -> dict[str, Any]:
    resolution, never = resolution_at(curves, box, pixel, threshold)
    of_mean, _ = resolution_at(curves.mean(0), box, pixel, threshold)
    return {
        "mean_over_frames": float(resolution.mean()),
        "of_mean_curve": float(of_mean),
        "frames_at_nyquist": int(never.sum()),
    }


def _fsc_table(curves: dict[str, Tensor], floor: Tensor, edge_in_angstroms: float) -> pd.DataFrame:
    shell = np.arange(1, len(floor))
    tables = []
    for name, fsc in (*curves.items(), ("floor", floor[None])):
        low, high = torch.quantile(fsc, torch.tensor([0.1, 0.9]), dim=0)
        columns = {"fsc": fsc.mean(0), "fsc_10th_percentile": low, "fsc_90th_percentile": high}
        values = {key: value.numpy()[1:] for key, value in columns.items()}
        where = {"curve": name, "shell": shell, "resolution_in_angstroms": edge_in_angstroms / shell}
        tables.append(pd.DataFrame(where | values))
    return pd.concat(tables, ignore_index=True)


def _frames_table(shown: pd.DataFrame, curves: dict[str, Tensor], box: int, pixel: float) -> pd.DataFrame:
    columns: dict[str, npt.NDArray[np.floating]] = {
        f"{name}_resolution_in_angstroms": resolution_at(curves[name], box, pixel, THRESHOLD)[0].numpy()
        for name in ("whole", "masked", "corrected")
    }
    return pd.concat(
        [shown[["image", "movie", "frame", "time"]].reset_index(drop=True), pd.DataFrame(columns)], axis=1
    )

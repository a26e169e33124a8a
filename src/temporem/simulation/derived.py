"""Data sets made from a simulated one: at another SNR, and the nulls for the value of time."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from temporem.errors import UserError
from temporem.files import write_json, write_text
from temporem.movies.movie_set import MovieSet
from temporem.movies.mrc import write_mrcs
from temporem.movies.reading import read_movies
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.writing import write_movies_star
from temporem.simulation.readme import README, readme
from temporem.simulation.simulate import new_folder, noise_of
from temporem.simulation.truth import Truth

__all__ = ["DERIVATIONS", "derive"]


def derive(simulation: Path, output: Path, kind: str, value: float | int) -> None:
    """Make the new folder `output` from the folder `simulation`, as `temporem simulate` leaves one.

    Kinds and their values: `snr`, the SNR; `shuffled`, the seed of the permutations; `repeated`, the copies.

    Raises UserError for an unknown kind or an impossible value, and a folder that is not a simulation's.
    """
    if kind not in DERIVATIONS:
        raise UserError(f"there is no way {kind!r} to derive a data set; there are {', '.join(DERIVATIONS)}.")
    try:
        options: dict[str, Any] = json.loads((simulation / "simulation.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{simulation} is not a folder of temporem simulate: {error}.") from None
    truth = Truth.load(simulation / "truth")
    movies = read_movies(simulation / "movies.star", ReadingOptions())
    with new_folder(output) as folder:
        make, what = DERIVATIONS[kind]
        truth = make(simulation, folder, movies, truth, options, value)
        truth.save(folder / "truth")
        write_json(folder / "simulation.json", {**options, "derived": {kind: value}})
        write_text(folder / README, f"{readme(options, truth)}\n## Derived\n\n{what.format(value)}\n")


def _at_other_snr(
    simulation: Path,
    folder: Path,
    movies: MovieSet,
    truth: Truth,
    options: Mapping[str, Any],
    snr: float | int,
) -> Truth:
    """The same images with the same noise in another strength: what `simulate` makes at that SNR."""
    if not 0 < snr < float("inf"):
        raise UserError(f"the SNR is {snr}, but must be positive: choose another.")
    wanted = truth.signal_variance / snr
    change = float(np.sqrt(wanted / truth.noise_variance)) - 1
    made = noise_of(len(truth), truth.noise_variance, options["box_size"], options["noise"], options["seed"])
    noisier = (movies.images.read(np.array([i]))[0] + change * noise for i, noise in enumerate(made))
    write_mrcs(folder / "movies.mrcs", noisier, truth.pixel_size_in_angstroms)
    shutil.copy(simulation / "movies.star", folder / "movies.star")
    return dataclasses.replace(truth, snr=snr, noise_variance=wanted)


def _shuffled(
    simulation: Path,
    folder: Path,
    movies: MovieSet,
    truth: Truth,
    options: Mapping[str, Any],
    seed: float | int,
) -> Truth:
    """Frames permuted in time within each movie; images, poses and truth stay in their rows."""
    _share_images(simulation, folder)
    write_movies_star(folder / "movies.star", movies.shuffled(int(seed)), _names(range(len(movies))))
    return truth


def _repeated(
    simulation: Path,
    folder: Path,
    movies: MovieSet,
    truth: Truth,
    options: Mapping[str, Any],
    copies: float | int,
) -> Truth:
    """Every image a movie of its own, so many times: time tells nothing, and nothing moves."""
    count = int(copies)
    if count < 2:
        raise UserError(f"{count} copies make no movie: choose at least 2.")
    _share_images(simulation, folder)
    row = np.repeat(np.arange(len(truth)), count)
    frame = np.tile(np.arange(count), len(truth))
    digits = len(str(len(truth)))
    ids = tuple(f"movie{i + 1:0{digits}d}" for i in range(len(truth)))
    optics = movies.contrast_transfer
    still = dataclasses.replace(
        movies,
        movie_ids=ids,
        movie=row,
        frame=frame,
        time=frame.astype(np.float64),
        rotation=truth.rotation[row],
        translation_in_angstroms=truth.translation_in_angstroms[row],
        contrast_transfer=None if optics is None else optics[torch.from_numpy(row)],
    )
    write_movies_star(folder / "movies.star", still, _names(row))
    states = truth.states.iloc[row].reset_index(drop=True)
    states = states.assign(
        image=np.arange(len(row)), movie=pd.Series(ids).iloc[row].to_numpy(), frame=frame, time=1.0 * frame
    )
    return dataclasses.replace(
        truth,
        states=states,
        rotation=truth.rotation[row],
        translation_in_angstroms=truth.translation_in_angstroms[row],
    )


def _share_images(simulation: Path, folder: Path) -> None:
    """One stack for both folders where the disk can, a copy where it cannot."""
    try:
        os.link(simulation / "movies.mrcs", folder / "movies.mrcs")
    except OSError:
        shutil.copy(simulation / "movies.mrcs", folder / "movies.mrcs")


def _names(rows: range | np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
    return [f"{row + 1:06d}@movies.mrcs" for row in rows]


Make = Callable[[Path, Path, MovieSet, Truth, Mapping[str, Any], float | int], Truth]

DERIVATIONS: dict[str, tuple[Make, str]] = {
    "snr": (_at_other_snr, "The same images with the same noise, scaled to SNR {:g}."),
    "shuffled": (
        _shuffled,
        "The frames of each movie are in a random order (seed {:.0f}); the truth is that of each image.",
    ),
    "repeated": (
        _repeated,
        "Every image is a movie of its own, repeated {:.0f} times: nothing moves, and time tells nothing.",
    ),
}
"""Kind → how, and what it says of itself with the value."""

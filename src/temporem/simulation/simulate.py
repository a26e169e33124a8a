"""Movies whose answer is known: images, STAR file and truth in one folder."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from temporem.errors import UserError
from temporem.files import reserve, write_json, write_text
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.writing import write_movies_star, write_mrcs
from temporem.physics.ctf import ContrastTransfer
from temporem.progress import progress
from temporem.simulation.acquisition import (
    draw_contrast_transfer,
    draw_lengths,
    draw_presence,
    draw_rotations,
    draw_translations,
)
from temporem.simulation.central_slice import oversampled_transform
from temporem.simulation.imaging import NoiseColour, clean_images, noise
from temporem.simulation.molecules import read_routes, settled
from temporem.simulation.motions import Conformations, conformations
from temporem.simulation.options import SimulationOptions
from temporem.simulation.readme import README, readme
from temporem.simulation.truth import Truth

__all__ = ["new_folder", "noise_of", "simulate"]

IMAGES_AT_ONCE = 32
STREAMS = 6
"""Of random numbers: motion, gaps, optics, poses, noise, paths."""

FloatImages = npt.NDArray[np.float32]


def simulate(options: SimulationOptions, output: Path) -> None:
    """Make movies and write them to the new folder `output`, which appears when all of it is there.

    It holds `movies.star` (RELION 3.1), `movies.mrcs`, `truth/` (see Truth), `simulation.json` (options,
    with the structure taken of several) and a README.md that says what it is.
    Random numbers for motion, paths, poses, CTF, missing frames and noise are separate streams of
    `options.seed`.

    Raises UserError for options from which no movies can be made, files that cannot be read, a molecule
    larger than the box, and an output folder that holds something.
    """
    options.check()
    with new_folder(output) as folder:
        options = dataclasses.replace(options, molecule=settled(options.molecule))
        streams = np.random.SeedSequence(options.seed).spawn(STREAMS)
        motion_random, gaps_random, optics_random, path_random = (
            np.random.default_rng(streams[index]) for index in (0, 1, 2, 5)
        )
        pose_random = _torch_generator(streams[3])

        lengths = draw_lengths(options.movies, options.frames, options.shortest_movie, gaps_random)
        present = draw_presence(lengths, options.missing_fraction, gaps_random)
        schedule = options.motion.schedule(lengths, motion_random, options.twin)
        shown = conformations(read_routes(options.molecule), schedule, path_random).rows(present)
        _check_size(shown, options)

        rotation = draw_rotations(lengths, options.poses, pose_random)[present]
        translation = draw_translations(int(lengths.sum()), options.poses, pose_random)[present]
        optics = draw_contrast_transfer(lengths, options.microscope, optics_random)
        optics = optics if optics is None else optics[torch.from_numpy(np.flatnonzero(present))]
        truth = Truth(
            states=_states(shown, lengths, present),
            unit=shown.unit,
            rotation=rotation.numpy(),
            translation_in_angstroms=translation.numpy(),
            structure=shown.structure,
            positions=shown.positions,
            occupancy=shown.occupancy,
            density=options.density,
            box_size=options.box_size,
            pixel_size_in_angstroms=options.pixel_size_in_angstroms,
            snr=options.snr,
            noise_variance=0.0,
        )
        clean = _write_clean(folder / "clean.npy", truth, optics, options.microscope.padding)
        truth = dataclasses.replace(truth, noise_variance=_variance(clean) / options.snr)
        made = noise_of(len(clean), truth.noise_variance, options.box_size, options.noise, options.seed)
        noisy = (image + noise for image, noise in zip(clean, made, strict=True))
        write_mrcs(folder / "movies.mrcs", noisy, options.pixel_size_in_angstroms)
        (folder / "clean.npy").unlink()
        _write_star(folder, truth, optics)
        truth.save(folder / "truth")
        described = _plain(dataclasses.asdict(options))
        write_json(folder / "simulation.json", described)
        write_text(folder / README, readme(described, truth))


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a folder that becomes `output` when the block ends without an error."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            f"{output} already exists and is not an empty folder: choose another one for the movies."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as private:
        folder = Path(private) / output.name
        folder.mkdir()
        yield folder
        if output.exists():
            output.rmdir()
        shutil.move(folder, output)


def _torch_generator(seed: np.random.SeedSequence) -> torch.Generator:
    return torch.Generator().manual_seed(int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def _check_size(shown: Conformations, options: SimulationOptions) -> None:
    radius = float(np.linalg.norm(shown.positions, axis=-1).max())
    half_box = options.box_size * options.pixel_size_in_angstroms / 2
    if radius > half_box:
        raise UserError(
            f"the molecule reaches {radius:.0f} Å from its centre, but the box of {options.box_size} pixels "
            f"only {half_box:.0f} Å: raise box-size or pixel-size-in-angstroms."
        )


def _states(
    shown: Conformations, lengths: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    digits = len(str(len(lengths)))
    ids = np.array([f"movie{i + 1:0{digits}d}" for i in range(len(lengths))])
    frame = np.concatenate([np.arange(length) for length in lengths])[present]
    columns = {
        "image": np.arange(len(frame)),
        "movie": np.repeat(ids, lengths)[present],
        "frame": frame,
        "time": frame.astype(np.float64),
        "state": shown.state,
        "category": shown.category,
        "value": shown.value,
        "conformation": shown.conformation,
    }
    return pd.DataFrame(columns)


def _write_clean(path: Path, truth: Truth, optics: ContrastTransfer | None, padding: int) -> FloatImages:
    """Every image without noise, memory-mapped in `path`."""
    n, pixel_size = truth.box_size, truth.pixel_size_in_angstroms
    clean = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(truth), n, n))
    with path.open("r+b") as file:
        reserve(file.fileno(), path.stat().st_size, path)
    rotation = torch.from_numpy(truth.rotation)
    shift = torch.from_numpy(truth.translation_in_angstroms) / pixel_size
    order = np.argsort(truth.conformation, kind="stable")
    bounds = np.searchsorted(truth.conformation[order], np.arange(truth.number_of_conformations + 1))
    with progress("Making images", len(truth)) as advance:
        for k in range(truth.number_of_conformations):
            transform = oversampled_transform(truth.conformation_volume(k))
            of_conformation = order[bounds[k] : bounds[k + 1]]
            for start in range(0, len(of_conformation), IMAGES_AT_ONCE):
                rows = torch.from_numpy(of_conformation[start : start + IMAGES_AT_ONCE])
                chosen = None if optics is None else optics[rows]
                images = clean_images(transform, rotation[rows], shift[rows], chosen, pixel_size, padding)
                clean[rows.numpy()] = images.numpy()
                advance(len(rows), "")
    return clean


def _variance(images: FloatImages) -> float:
    """Variance over all pixels of all images, in float64 without copying them all."""
    mean = np.mean([image.mean(dtype=np.float64) for image in images])
    return float(np.mean([np.square(image - mean, dtype=np.float64).mean() for image in images]))


def noise_of(
    count: int, variance: float, box_size: int, colour: NoiseColour, seed: int
) -> Iterator[FloatImages]:
    """The noise of a simulation with this seed, image by image."""
    generator = _torch_generator(np.random.SeedSequence(seed).spawn(STREAMS)[4])
    for start in range(0, count, IMAGES_AT_ONCE):
        some = min(IMAGES_AT_ONCE, count - start)
        yield from noise(some, box_size, variance, colour, generator).numpy()


def _write_star(folder: Path, truth: Truth, optics: ContrastTransfer | None) -> None:
    movie, ids = pd.factorize(truth.states["movie"])
    movies = MovieSet(
        images=StackImages.all_of([open_stack(folder / "movies.mrcs")]),
        pixel_size_in_angstroms=truth.pixel_size_in_angstroms,
        movie_ids=tuple(ids),
        movie=movie,
        frame=truth.states["frame"].to_numpy(),
        time=truth.states["time"].to_numpy(),
        rotation=truth.rotation,
        translation_in_angstroms=truth.translation_in_angstroms,
        contrast_transfer=optics,
    )
    names = [f"{row + 1:06d}@movies.mrcs" for row in range(len(movies))]
    write_movies_star(folder / "movies.star", movies, names)


def _plain(value: Any) -> Any:
    """The same with paths as text, for JSON."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

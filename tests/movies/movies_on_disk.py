"""Small movies with poses and CTF, and the files that carry them in every format."""

import csv
import pickle
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import torch

from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.writing import write_movies_star, write_mrcs
from temporem.physics.ctf import ContrastTransfer
from temporem.physics.rotations import random_rotations

LENGTHS = (3, 4, 2)
FRAMES = (0, 1, 3, 0, 1, 2, 5, 2, 4)
PIXEL_SIZE = 3.2
BOX = 8


def pixels(count=9, box=BOX, seed=0):
    return np.random.default_rng(seed).normal(size=(count, box, box)).astype(np.float32)


def make_movies(folder: Path) -> MovieSet:
    """Write `movies.mrcs` and return its movies, of different lengths and with missing frames."""
    count = len(FRAMES)
    write_mrcs(folder / "movies.mrcs", iter(pixels()), PIXEL_SIZE)
    generator = np.random.default_rng(1)
    column = lambda low, high: torch.from_numpy(generator.uniform(low, high, count).astype(np.float32))  # noqa: E731
    ctf = ContrastTransfer(
        column(8e3, 2e4), column(8e3, 2e4), column(0, 3), torch.full((count,), 300.0),
        torch.full((count,), 2.7), torch.full((count,), 0.1), column(0, 1), torch.zeros(count),
    )  # fmt: skip
    return MovieSet(
        images=StackImages.all_of([open_stack(folder / "movies.mrcs")]),
        pixel_size_in_angstroms=PIXEL_SIZE,
        movie_ids=("alpha", "beta", "gamma"),
        movie=np.repeat([0, 1, 2], LENGTHS),
        frame=np.array(FRAMES),
        time=np.array(FRAMES, dtype=float),
        rotation=random_rotations(count, torch.Generator().manual_seed(2)).double().numpy(),
        translation_in_angstroms=generator.normal(size=(count, 2)) * 3,
        contrast_transfer=ctf,
    )


def write_as_star(folder: Path, movies: MovieSet) -> Path:
    names = [f"{row + 1:06d}@movies.mrcs" for row in range(len(movies))]
    write_movies_star(folder / "movies.star", movies, names)
    return folder / "movies.star"


def write_as_folder(folder: Path, movies: MovieSet) -> Path:
    """One stack per movie, and a star file beside them."""
    folder = folder / "stacks"
    names = {}
    for movie_id, rows in movies.rows_by_movie():
        write_mrcs(folder / f"{movie_id}.mrcs", movies.images.read(rows), PIXEL_SIZE)
        names |= {row: f"{i + 1:06d}@{movie_id}.mrcs" for i, row in enumerate(rows)}
    write_movies_star(folder / "poses.star", movies, [names[row] for row in range(len(movies))])
    return folder


def write_movie_table(folder: Path, movies: MovieSet, order=None) -> Path:
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "movie", "frame"])
        for i in range(len(movies)) if order is None else order:
            rows.writerow([i, movies.movie_ids[movies.movie[i]], movies.frame[i]])
    return path


def write_as_cryodrgn(folder: Path, movies: MovieSet) -> tuple[Path, Path, Path]:
    """The stack, poses.pkl and ctf.pkl, laid out as cryodrgn's parse_pose_star and parse_ctf_star do."""
    fraction = -movies.translation_in_angstroms / (PIXEL_SIZE * BOX)
    with (folder / "poses.pkl").open("wb") as file:
        pickle.dump((movies.rotation, fraction), file)
    ctf = {name: value.double().numpy() for name, value in movies.contrast_transfer.tensors()}
    columns = [
        np.full(len(movies), BOX), np.full(len(movies), PIXEL_SIZE),
        ctf["defocus_u_in_angstroms"], ctf["defocus_v_in_angstroms"], np.rad2deg(ctf["defocus_angle"]),
        ctf["voltage_in_kilovolts"], ctf["spherical_aberration_in_millimetres"], ctf["amplitude_contrast"],
        np.rad2deg(ctf["phase_shift"]),
    ]  # fmt: skip
    with (folder / "ctf.pkl").open("wb") as file:
        pickle.dump(np.stack(columns, axis=1).astype(np.float32), file)
    return folder / "movies.mrcs", folder / "poses.pkl", folder / "ctf.pkl"


def rotation_vector(matrix):
    """Axis times angle of a rotation whose angle is not near 0 or π, by the textbook formula."""
    angle = np.arccos((np.trace(matrix) - 1) / 2)
    axis = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    return axis / (2 * np.sin(angle)) * angle


def cryosparc_records(movies: MovieSet):
    ctf = {name: value.numpy() for name, value in movies.contrast_transfer.tensors()}
    vectors = {"alignments3D/pose": 3, "alignments3D/shift": 2}
    microscope = (
        "df1_A",
        "df2_A",
        "df_angle_rad",
        "accel_kv",
        "cs_mm",
        "amp_contrast",
        "phase_shift_rad",
        "bfactor",
    )
    scalars = ("blob/psize_A", "alignments3D/psize_A", *(f"ctf/{name}" for name in microscope))
    fields = [("uid", "<u8"), ("blob/path", "S64"), ("blob/idx", "<u4"), ("location/micrograph_path", "S32")]
    fields += [(name, "<f4") for name in scalars] + [(name, "<f4", width) for name, width in vectors.items()]
    records = np.zeros(len(movies), dtype=fields)
    records["uid"] = np.arange(len(movies), dtype=np.uint64) + np.uint64(2**63)
    records["blob/path"] = b">movies.mrcs"
    records["blob/idx"] = np.arange(len(movies))
    records["blob/psize_A"] = PIXEL_SIZE
    # Alignments made on images down-sampled twice.
    records["alignments3D/psize_A"] = 2 * PIXEL_SIZE
    records["alignments3D/shift"] = -movies.translation_in_angstroms / (2 * PIXEL_SIZE)
    records["alignments3D/pose"] = [rotation_vector(x.T) for x in movies.rotation]
    for name, value in zip(microscope, ctf.values(), strict=True):
        records[f"ctf/{name}"] = value
    records["location/micrograph_path"] = [movies.movie_ids[i].encode() for i in movies.movie]
    return records


def write_as_cryosparc(folder: Path, movies: MovieSet, records=None) -> Path:
    with (folder / "particles.cs").open("wb") as file:
        np.save(file, cryosparc_records(movies) if records is None else records)
    return folder / "particles.cs"


def write_with_mrcfile(path: Path, images, pixel_size=PIXEL_SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path) as file:
        file.set_data(images)
        file.set_image_stack()
        file.voxel_size = pixel_size
    return path


def assert_same(found: MovieSet, expected: MovieSet, *, angle_tolerance=2e-6):
    """The same frames, movies, poses and CTF; rows in the same order."""
    rows = np.arange(len(expected))
    assert len(found) == len(found.images) == len(expected)
    np.testing.assert_array_equal(found.images.read(rows), expected.images.read(rows))
    assert found.pixel_size_in_angstroms == float(np.float32(expected.pixel_size_in_angstroms)) or np.isclose(
        found.pixel_size_in_angstroms, expected.pixel_size_in_angstroms, rtol=1e-6
    )
    assert found.movie_ids == expected.movie_ids
    np.testing.assert_array_equal(found.movie, expected.movie)
    np.testing.assert_array_equal(found.frame, expected.frame)
    np.testing.assert_allclose(found.time, expected.time)
    assert found.time_unit == expected.time_unit
    np.testing.assert_allclose(found.rotation, expected.rotation, atol=angle_tolerance)
    np.testing.assert_allclose(found.translation_in_angstroms, expected.translation_in_angstroms, atol=1e-5)
    for (name, ours), (_, theirs) in zip(
        found.contrast_transfer.tensors(), expected.contrast_transfer.tensors(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6, msg=name)


def without(movies: MovieSet, *names: str) -> MovieSet:
    return replace(movies, **dict.fromkeys(names))

"""The same movies, however they are stored, give the same latents.

Formats differ in how many digits they keep. Written with all of them, the same images and poses are the same
float32 numbers by the time anything is computed, and the latents are identical. Written as the programs do
(RELION 6 decimals of a degree and an Å, cryoSPARC and cryoDRGN float32), poses and CTF differ by rounding,
and fitting passes it on, amplified. By how much is measured, not guessed: one more run, on poses and CTF that
are moved at random by as much as float32 rounds them.
"""

import csv
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import mrcfile
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import starfile
import torch
from scipy.spatial.transform import Rotation

from temporem.cli.main import main
from temporem.reconstruction.latents_file import read_latents
from temporem.simulation.recipes import RECIPES
from temporem.simulation.simulate import simulate

pytestmark = pytest.mark.external

ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
ORIGINS = ["rlnOriginXAngst", "rlnOriginYAngst"]
DEFOCI = ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]
BOX, PIXEL_SIZE = 32, 4.0
FEW = ["--epochs", "2", "--width", "32", "--latent-dim", "2", "--device", "cpu"]


class Simulated:
    """Twelve movies of eight frames with CTF and shifts, as simulation wrote them."""

    def __init__(self, folder: Path) -> None:
        _, recipe = RECIPES["adk"]
        size = {"movies": 12, "frames": 8, "box_size": BOX, "pixel_size_in_angstroms": PIXEL_SIZE}
        simulate(dataclasses.replace(recipe, twin=True, snr=1.0, **size), folder)
        blocks = starfile.read(folder / "movies.star")
        self.optics, self.frames = blocks["optics"], blocks["particles"]
        self.stack = folder / "movies.mrcs"
        with mrcfile.open(self.stack) as file:
            self.images = np.array(file.data)

    @property
    def rotation(self) -> Rotation:
        """A, whose transpose RELION's angles are the intrinsic ZYZ angles of."""
        return Rotation.from_euler("ZYZ", self.frames[ANGLES].to_numpy(), degrees=True).inv()

    def moved_by_rounding(self) -> pd.DataFrame:
        """The frames with angles, shifts and defoci moved by up to half of float32's last digit."""
        random = np.random.default_rng(1)
        frames = self.frames.copy()
        for name in (*ANGLES, *ORIGINS, *DEFOCI):
            values = frames[name].to_numpy()
            step = np.spacing(np.abs(values).max().astype(np.float32)).astype(np.float64)
            frames[name] = values + step * random.uniform(-0.5, 0.5, len(values))
        return frames


Options = list[str]
Writer = Callable[[Path, Simulated, npt.DTypeLike], tuple[Path, Options]]


def write_star_file(path: Path, simulated: Simulated, frames: pd.DataFrame, number: npt.DTypeLike) -> None:
    digits = "%.17g" if number == np.float64 else "%.6f"
    starfile.write({"optics": simulated.optics, "particles": frames}, path, float_format=digits)


def write_images(path: Path, images: npt.NDArray[np.float32]) -> None:
    with mrcfile.new(path) as file:
        file.set_data(images)
        file.set_image_stack()
        file.voxel_size = PIXEL_SIZE


def write_movie_table(folder: Path, simulated: Simulated) -> Options:
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "movie", "frame"))
        columns = simulated.frames[["rlnTomoParticleName", "rlnMicrographFrameNumber"]]
        rows.writerows((i, *row) for i, row in enumerate(columns.itertuples(index=False)))
    return ["--movie-table", str(folder / "table.csv")]


def as_star(folder: Path, simulated: Simulated, number: npt.DTypeLike) -> tuple[Path, Options]:
    write_images(folder / "movies.mrcs", simulated.images)
    write_star_file(folder / "movies.star", simulated, simulated.frames, number)
    return folder / "movies.star", []


def as_moved_star(folder: Path, simulated: Simulated, _: npt.DTypeLike) -> tuple[Path, Options]:
    write_images(folder / "movies.mrcs", simulated.images)
    write_star_file(folder / "movies.star", simulated, simulated.moved_by_rounding(), np.float64)
    return folder / "movies.star", []


def as_folder(folder: Path, simulated: Simulated, number: npt.DTypeLike) -> tuple[Path, Options]:
    frames = simulated.frames.copy()
    for movie, rows in simulated.frames.groupby("rlnTomoParticleName").groups.items():
        write_images(folder / f"{movie}.mrcs", simulated.images[rows])
        frames.loc[rows, "rlnImageName"] = [f"{i + 1:06d}@{movie}.mrcs" for i in range(len(rows))]
    write_star_file(folder / "poses.star", simulated, frames, number)
    return folder, []


def as_cryosparc(folder: Path, simulated: Simulated, number: npt.DTypeLike) -> tuple[Path, Options]:
    frames, optics = simulated.frames, simulated.optics.iloc[0]
    columns = {
        "blob/psize_A": np.full(len(frames), PIXEL_SIZE),
        "alignments3D/pose": simulated.rotation.inv().as_rotvec(),
        "alignments3D/shift": frames[ORIGINS].to_numpy() / PIXEL_SIZE,
        "ctf/df1_A": frames["rlnDefocusU"],
        "ctf/df2_A": frames["rlnDefocusV"],
        "ctf/df_angle_rad": np.deg2rad(frames["rlnDefocusAngle"]),
        "ctf/accel_kv": np.full(len(frames), optics["rlnVoltage"]),
        "ctf/cs_mm": np.full(len(frames), optics["rlnSphericalAberration"]),
        "ctf/amp_contrast": np.full(len(frames), optics["rlnAmplitudeContrast"]),
        "ctf/phase_shift_rad": np.deg2rad(frames["rlnPhaseShift"]),
    }
    fields = [(name, number, np.shape(values)[1:]) for name, values in columns.items()]
    records = np.zeros(len(frames), [("blob/path", "S64"), ("blob/idx", "<u4"), *fields])
    records["blob/path"], records["blob/idx"] = b">movies.mrcs", np.arange(len(frames))
    for name, values in columns.items():
        records[name] = values
    write_images(folder / "movies.mrcs", simulated.images)
    with (folder / "particles.cs").open("wb") as file:
        np.save(file, records)
    return folder / "particles.cs", write_movie_table(folder, simulated)


def as_cryodrgn(folder: Path, simulated: Simulated, number: npt.DTypeLike) -> tuple[Path, Options]:
    frames, optics = simulated.frames, simulated.optics.iloc[0]
    fraction = frames[ORIGINS].to_numpy() / (BOX * PIXEL_SIZE)
    microscope = optics[["rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"]].to_numpy(float)
    columns = (BOX, PIXEL_SIZE, *frames[DEFOCI].to_numpy().T, *microscope, frames["rlnPhaseShift"])
    ctf = np.stack([np.broadcast_to(column, len(frames)) for column in columns], axis=1)
    with (folder / "poses.pkl").open("wb") as file:
        pickle.dump((simulated.rotation.as_matrix().astype(number), fraction.astype(number)), file)
    with (folder / "ctf.pkl").open("wb") as file:
        pickle.dump(ctf.astype(number), file)
    write_images(folder / "movies.mrcs", simulated.images)
    given = ["--pose-file", str(folder / "poses.pkl"), "--ctf", str(folder / "ctf.pkl")]
    return folder / "movies.mrcs", [*given, *write_movie_table(folder, simulated)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    pytest.importorskip("MDAnalysisTests")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Simulated(tmp_path_factory.mktemp("simulated") / "movies")
    torch.set_num_threads(threads)


def latents_of(folder: Path, simulated: Simulated, write: Writer, number: npt.DTypeLike) -> pd.DataFrame:
    """What `temporem reconstruct` makes of the movies written so."""
    folder.mkdir()
    movies, options = write(folder, simulated, number)
    run = folder / "run"
    assert main(["reconstruct", str(movies), "-o", str(run), *options, *FEW]) == 0
    return read_latents(run / "latents.csv")


@pytest.fixture(scope="module")
def exact(simulated: Simulated, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return latents_of(tmp_path_factory.mktemp("exact") / "star", simulated, as_star, np.float64)


@pytest.fixture(scope="module")
def effect_of_rounding(
    simulated: Simulated, exact: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> float:
    """Root mean square change of z, in its standard deviations."""
    folder = tmp_path_factory.mktemp("moved") / "star"
    return distance(latents_of(folder, simulated, as_moved_star, np.float64), exact)


def distance(found: pd.DataFrame, expected: pd.DataFrame) -> float:
    keys = ["image", "movie", "frame", "time"]
    pd.testing.assert_frame_equal(found[keys], expected[keys])
    z = expected[["z1", "z2"]].to_numpy(np.float64)
    change = (found[["z1", "z2"]].to_numpy(np.float64) - z) / z.std(axis=0)
    return float(np.sqrt(np.mean(change**2)))


@pytest.mark.parametrize("write", [as_folder, as_cryosparc, as_cryodrgn])
def test_with_all_digits_the_latents_are_identical(
    simulated: Simulated, exact: pd.DataFrame, write: Writer, tmp_path: Path
) -> None:
    pd.testing.assert_frame_equal(
        latents_of(tmp_path / "movies", simulated, write, np.float64), exact, check_exact=True
    )


@pytest.mark.parametrize("write", [as_star, as_cryosparc, as_cryodrgn])
def test_as_the_programs_write_them_the_latents_differ_by_the_effect_of_rounding(
    simulated: Simulated, exact: pd.DataFrame, effect_of_rounding: float, write: Writer, tmp_path: Path
) -> None:
    found = latents_of(tmp_path / "movies", simulated, write, np.float32)
    assert effect_of_rounding < 1e-3
    assert distance(found, exact) <= 4 * effect_of_rounding

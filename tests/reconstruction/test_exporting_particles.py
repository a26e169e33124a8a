"""Selections point at the original particles, in each program's own files."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
import torch

from temporem.errors import UserError
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.pickles import load_arrays
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.movies.writing import write_movies_star, write_mrcs, write_poses_star
from temporem.physics.rotations import random_rotations
from temporem.reconstruction.export import export_particles, select_rows
from temporem.reconstruction.run import Run

BOX = 8
CRYODRGN = shutil.which("cryodrgn")


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Two interleaved movies of three frames, with columns of RELION's that temporem does not read."""
    images = np.random.default_rng(0).normal(size=(6, BOX, BOX)).astype(np.float32)
    write_mrcs(tmp_path / "particles.mrcs", images, 3.0)
    movies = MovieSet(
        images=StackImages.all_of([open_stack(tmp_path / "particles.mrcs")]),
        pixel_size_in_angstroms=3.0,
        movie_ids=("one", "the other"),
        movie=np.array([0, 1] * 3),
        frame=np.array([0, 0, 1, 1, 2, 2]),
        time=np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]),
        rotation=random_rotations(6, torch.Generator().manual_seed(0)).numpy(),
        translation_in_angstroms=np.ones((6, 2), np.float32),
    )
    path = tmp_path / "particles.star"
    write_movies_star(path, movies, [f"{row + 1:06d}@particles.mrcs" for row in range(6)])
    blocks = starfile.read(path)
    blocks["particles"]["rlnCoordinateX"] = np.arange(6) * 10.5
    blocks["optics"]["rlnOpticsGroupName"] = "a microscope"
    starfile.write(blocks, path)
    return path


def run_of(source: Path, options: ReadingOptions, folder: Path) -> Run:
    """A finished run whose z1 is the row and whose z2 is minus it."""
    movies = read_movies(source, options)
    run = Run.create(folder, {"input": source, "reading": options, "preprocessing": {}})
    row = torch.arange(len(movies), dtype=torch.float32)
    z = torch.stack((row, -row), dim=-1)
    run.write_latents(movies, z, torch.full_like(z, 0.25))
    write_poses_star(run.poses_path, movies, movies.rotation, movies.translation_in_angstroms)
    return run


def test_a_star_selection_keeps_every_column_and_finds_the_images(star: Path, tmp_path: Path) -> None:
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    export_particles(run, tmp_path / "far" / "away", [1, 4, 5])
    written, before = starfile.read(tmp_path / "far/away/particles.star"), starfile.read(star)
    pd.testing.assert_frame_equal(written["optics"], before["optics"])
    kept = before["particles"].iloc[[1, 4, 5]].drop(columns="rlnImageName").reset_index(drop=True)
    pd.testing.assert_frame_equal(written["particles"][kept.columns], kept)
    assert written["particles"]["temporemLatent2"].tolist() == [-1, -4, -5]
    assert written["particles"]["temporemLatentSd1"].tolist() == [0.25] * 3
    original = read_movies(star)
    names = [f"{row + 1:06d}@{tmp_path / 'particles.mrcs'}" for row in (1, 4, 5)]
    assert written["particles"]["rlnImageName"].tolist() == names
    selected = read_movies(
        export_particles(run, tmp_path / "movie", select_rows(run, ["the other"]))[0], ReadingOptions()
    )
    np.testing.assert_array_equal(
        selected.images.read(np.arange(3)), original.images.read(np.array([1, 3, 5]))
    )
    assert selected.movie_ids == ("the other",)


def test_latents_and_rows_are_those_of_the_selection(star: Path, tmp_path: Path) -> None:
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    rows = select_rows(run, latent=(("z1", 1.0, 4.0), ("z2", -3.0, 0.0)))
    assert rows == [1, 2, 3]
    export_particles(run, tmp_path / "out", rows)
    latents = pd.read_csv(tmp_path / "out" / "latents.csv")
    assert latents["image"].tolist() == [1, 2, 3]
    assert latents["z1"].tolist() == [1, 2, 3]
    assert (tmp_path / "out" / "rows.txt").read_text() == "1\n2\n3\n"
    # The file of rows is what --index-file takes, and what numpy turns into cryoDRGN's indices.
    assert select_rows(run, index_file=tmp_path / "out" / "rows.txt") == rows
    assert np.loadtxt(tmp_path / "out" / "rows.txt", dtype=int).tolist() == rows


def test_movies_named_by_a_table_are_named_in_the_star(star: Path, tmp_path: Path) -> None:
    table = tmp_path / "movies.csv"
    table.write_text("image,movie\n" + "".join(f"{row},m{row % 3}\n" for row in range(6)))
    run = run_of(star, ReadingOptions(movie_table=table), tmp_path / "run")
    path, *_ = export_particles(run, tmp_path / "out", [0, 3, 1, 4])
    assert starfile.read(path)["particles"]["rlnTomoParticleName"].tolist() == ["m0", "m0", "m1", "m1"]


def test_other_inputs_give_relions_columns_and_cryosparcs_own_records(star: Path, tmp_path: Path) -> None:
    kinds = [
        ("uid", "u8"), ("blob/path", "S40"), ("blob/idx", "u4"), ("blob/psize_A", "f4"),
        ("alignments3D/pose", "f4", (3,)), ("alignments3D/shift", "f4", (2,)), ("strange/field", "f8", (2,)),
    ]  # fmt: skip
    records = np.zeros(6, kinds)
    records["uid"], records["blob/idx"], records["blob/psize_A"] = 100 + np.arange(6), np.arange(6), 3.0
    records["blob/path"], records["alignments3D/pose"] = "particles.mrcs", 0.3
    records["strange/field"] = np.random.default_rng(1).normal(size=(6, 2))
    source, table = tmp_path / "particles.cs", tmp_path / "movies.csv"
    with source.open("wb") as file:
        np.save(file, records)
    table.write_text("image,movie\n" + "".join(f"{row},m{row % 2}\n" for row in range(6)))
    run = run_of(source, ReadingOptions(movie_table=table), tmp_path / "run")
    star_path, cs_path, *_ = export_particles(run, tmp_path / "out", [2, 0, 4])
    np.testing.assert_array_equal(np.load(cs_path), records[[2, 0, 4]])
    again, first = read_movies(star_path), read_movies(source, ReadingOptions(movie_table=table))
    np.testing.assert_allclose(again.rotation, first.rotation[[2, 0, 4]], atol=1e-6)
    np.testing.assert_array_equal(again.images.read(np.arange(3)), first.images.read(np.array([2, 0, 4])))


@pytest.mark.external
def test_cryosparc_tools_read_the_selection(star: Path, tmp_path: Path) -> None:
    dataset = pytest.importorskip("cryosparc.dataset")
    records = np.zeros(6, [("uid", "u8"), ("blob/idx", "u4"), ("blob/path", "S40")])
    records["uid"], records["blob/path"] = 1 + np.arange(6), "particles.mrcs"
    source = tmp_path / "particles.cs"
    with source.open("wb") as file:
        np.save(file, records)
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    run.update_config(input=source)
    _, path, *_ = export_particles(run, tmp_path / "out", [5, 2])
    assert dataset.Dataset.load(str(path))["uid"].tolist() == [6, 3]


@pytest.mark.external
@pytest.mark.skipif(CRYODRGN is None, reason="needs the command cryodrgn, from an environment of its own")
def test_cryodrgn_reads_the_poses_of_the_selection(star: Path, tmp_path: Path) -> None:
    # Its reader knows no quotes, so words with blanks are beyond it in any file.
    blocks = starfile.read(star)
    blocks["optics"]["rlnOpticsGroupName"] = "microscope"
    names = blocks["particles"]["rlnTomoParticleName"]
    blocks["particles"]["rlnTomoParticleName"] = names.str.replace(" ", "_")
    starfile.write(blocks, star, overwrite=True)
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    path, *_ = export_particles(run, tmp_path / "out", [5, 0])
    poses = tmp_path / "poses.pkl"
    command = [str(CRYODRGN), "parse_pose_star", str(path), "-D", str(BOX), "--Apix", "3", "-o", str(poses)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    written, original = load_arrays(poses), read_movies(star)
    np.testing.assert_allclose(written[0], original.rotation[[5, 0]], atol=1e-5)
    shift = original.translation_in_angstroms[[5, 0]]
    np.testing.assert_allclose(-written[1] * BOX * 3.0, shift, atol=1e-4)


def test_what_cannot_be_selected_is_a_sentence(star: Path, tmp_path: Path) -> None:
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    (tmp_path / "rows.txt").write_text("6\n")
    for words, choice in (
        ("lists image 6", {"index_file": tmp_path / "rows.txt"}),
        ("no latent 'z9'", {"latent": (("z9", 0.0, 1.0),)}),
        ("lower bound first", {"latent": (("z1", 1.0, 0.0),)}),
        ("no image meets", {"latent": (("z1", 0.2, 0.8),)}),
        ("no movie 'x'", {"movies": ("x",)}),
    ):
        with pytest.raises(UserError, match=words):
            select_rows(run, **choice)
    export_particles(run, tmp_path / "out", [0])
    with pytest.raises(UserError, match="already holds"):
        export_particles(run, tmp_path / "out", [0])


def test_an_input_that_changed_since_is_not_taken_for_the_runs(star: Path, tmp_path: Path) -> None:
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    blocks = starfile.read(star)
    blocks["particles"] = blocks["particles"].iloc[:5]
    starfile.write(blocks, star, overwrite=True)
    with pytest.raises(UserError, match="changed since"):
        export_particles(run, tmp_path / "out", [0])


def own_poses(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Give a run poses that its input does not have."""
    movies, _ = run.movies()
    rotation = random_rotations(len(movies), torch.Generator().manual_seed(9)).numpy()
    translation = np.arange(2 * len(movies), dtype=np.float32).reshape(-1, 2)
    write_poses_star(run.poses_path, movies, rotation, translation)
    run.update_config(poses={"kind": "refine"})
    return rotation, translation


def check_poses(
    path: Path, options: ReadingOptions, rows: list[int], own: tuple[np.ndarray, np.ndarray]
) -> None:
    again = read_movies(path, options)
    np.testing.assert_allclose(again.rotation, own[0][rows], atol=1e-5)
    np.testing.assert_allclose(again.translation_in_angstroms, own[1][rows], atol=1e-4)


def test_poses_that_the_run_found_go_into_the_star_file(tmp_path: Path, star: Path) -> None:
    run = run_of(star, ReadingOptions(), tmp_path / "run")
    own = own_poses(run)
    np.testing.assert_allclose(run.movies()[0].rotation, own[0], atol=1e-5)
    rows = [0, 1, 2, 5]
    export_particles(run, tmp_path / "out", rows)
    check_poses(tmp_path / "out" / "particles.star", ReadingOptions(), rows, own)


def test_poses_that_the_run_found_go_into_the_cs_file(tmp_path: Path, star: Path) -> None:
    fields = [("uid", "u8"), ("blob/path", "S20"), ("blob/idx", "u4"), ("blob/psize_A", "f4")]
    records = np.zeros(6, dtype=[*fields, ("alignments3D/pose", "f4", 3), ("alignments3D/shift", "f4", 2)])
    records["blob/path"], records["blob/idx"], records["blob/psize_A"] = b"particles.mrcs", range(6), 3.0
    source, table = tmp_path / "particles.cs", tmp_path / "movies.csv"
    with source.open("wb") as file:
        np.save(file, records)
    table.write_text("image,movie,frame\n" + "".join(f"{i},{i % 2},{i // 2}\n" for i in range(6)))
    options = ReadingOptions(movie_table=table)
    run = run_of(source, options, tmp_path / "run")
    own = own_poses(run)
    export_particles(run, tmp_path / "out", list(range(6)))
    shutil.copy(star.parent / "particles.mrcs", tmp_path / "out")
    check_poses(tmp_path / "out" / "particles.cs", options, list(range(6)), own)
    assert (np.load(tmp_path / "out" / "particles.cs")["uid"] == records["uid"]).all()

"""The same movies come back the same from every format."""

import numpy as np
import pytest
import torch
from movies_on_disk import (
    assert_same,
    cryosparc_records,
    make_movies,
    write_as_cryodrgn,
    write_as_cryosparc,
    write_as_folder,
    write_as_star,
    write_movie_table,
)

from temporem.movies.reading import ReadingOptions, read_movies
from temporem.physics.rotations import matrix_from_relion_angles


def test_star(tmp_path):
    movies = make_movies(tmp_path)
    assert_same(read_movies(write_as_star(tmp_path, movies)), movies)


def test_folder_with_star(tmp_path):
    movies = make_movies(tmp_path)
    assert_same(read_movies(write_as_folder(tmp_path, movies)), movies)


def test_glob_with_poses_elsewhere(tmp_path):
    movies = make_movies(tmp_path)
    folder = write_as_folder(tmp_path, movies)
    (folder / "poses.star").rename(tmp_path / "elsewhere.star")
    options = ReadingOptions(poses=tmp_path / "elsewhere.star")
    assert_same(read_movies(folder / "*.mrcs", options), movies)


def test_a_stack_that_the_table_names_and_the_folder_lacks_is_said(tmp_path):
    movies = make_movies(tmp_path)
    folder = write_as_folder(tmp_path, movies)
    gone, *kept = sorted(folder.glob("*.mrcs"))
    gone.unlink()
    found = read_movies(folder)
    assert len(found.movie_ids) == len(kept)
    assert gone.name in found.provenance["stacks not here"]
    assert "1 that" in found.provenance["stacks not here"]


@pytest.mark.parametrize("suffix", ["star", "csv"])
def test_folder_with_star_and_poses_in_row_order(tmp_path, suffix):
    movies = make_movies(tmp_path)
    folder = write_as_folder(tmp_path, movies)
    star = (folder / "poses.star").read_text().split("data_particles")[1]
    lines = [line for line in star.splitlines() if line.strip()]
    names = [line.split()[0][1:] for line in lines if line.startswith("_")]
    rows = [line.split() for line in lines if not line.startswith("_") and line != "loop_"]
    keep = [i for i, name in enumerate(names) if name not in ("rlnImageName", "rlnOpticsGroup")]
    rows = [[row[i] for i in keep] + ["300", "2.7", "0.1"] for row in rows]
    names = [names[i] for i in keep] + ["rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"]
    (folder / "poses.star").unlink()
    if suffix == "csv":
        text = "\n".join(",".join(row) for row in [names, *rows])
    else:
        text = (
            "data_\n\nloop_\n"
            + "".join(f"_{name}\n" for name in names)
            + "\n".join(" ".join(row) for row in rows)
        )
    (folder / f"poses.{suffix}").write_text(text + "\n")
    assert_same(read_movies(folder), movies)


@pytest.mark.parametrize("shuffled_table", [False, True])
def test_cryodrgn_with_movie_table(tmp_path, shuffled_table):
    movies = make_movies(tmp_path)
    stack, poses, ctf = write_as_cryodrgn(tmp_path, movies)
    # Movies are numbered as the table first names them: alpha, beta, gamma in both.
    order = [0, 3, 7, 8, 1, 6, 2, 5, 4] if shuffled_table else None
    table = write_movie_table(tmp_path, movies, order)
    found = read_movies(stack, ReadingOptions(movie_table=table, poses=poses, ctf=ctf))
    assert_same(found, movies)


def test_cryodrgn_text_list_of_stacks(tmp_path):
    movies = make_movies(tmp_path)
    folder = write_as_folder(tmp_path, movies)
    (tmp_path / "list.txt").write_text("".join(f"stacks/{name}.mrcs\n" for name in movies.movie_ids))
    _, poses, ctf = write_as_cryodrgn(tmp_path, movies)
    options = ReadingOptions(movie_table=write_movie_table(tmp_path, movies), poses=poses, ctf=ctf)
    assert_same(read_movies(tmp_path / "list.txt", options), movies)
    assert folder.is_dir()


def test_pickled_poses_leave_the_ctf_beside_the_stacks(tmp_path):
    movies = make_movies(tmp_path)
    folder = write_as_folder(tmp_path, movies)
    _, poses, _ = write_as_cryodrgn(tmp_path, movies)
    found = read_movies(folder, ReadingOptions(poses=poses))
    assert_same(found, movies)
    assert found.provenance["poses"] == f"{poses} (cryoDRGN)"


def test_cryosparc_with_movie_table(tmp_path):
    movies = make_movies(tmp_path)
    table = write_movie_table(tmp_path, movies)
    assert_same(read_movies(write_as_cryosparc(tmp_path, movies), ReadingOptions(movie_table=table)), movies)


def test_cryosparc_field_as_movie_column(tmp_path):
    movies = make_movies(tmp_path)
    path = write_as_cryosparc(tmp_path, movies)
    found = read_movies(path, ReadingOptions(movie_column="location/micrograph_path"))
    assert found.movie_ids == movies.movie_ids
    np.testing.assert_array_equal(found.frame, [0, 1, 2, 0, 1, 2, 3, 0, 1])


def test_cryosparc_rotation_about_the_beam_is_relions_rot(tmp_path):
    movies = make_movies(tmp_path)
    records = cryosparc_records(movies)
    records["alignments3D/pose"] = [0, 0, 0.7]
    path = write_as_cryosparc(tmp_path, movies, records)
    found = read_movies(path, ReadingOptions(movie_table=write_movie_table(tmp_path, movies)))
    angles = torch.tensor([0.7, 0, 0], dtype=torch.float64)
    np.testing.assert_allclose(found.rotation[0], matrix_from_relion_angles(angles).numpy(), atol=1e-7)


def test_paths_are_found_from_the_project_root(tmp_path, monkeypatch):
    movies = make_movies(tmp_path)
    star = write_as_star(tmp_path, movies)
    job = tmp_path / "Refine3D" / "job001"
    job.mkdir(parents=True)
    star.rename(job / "run_data.star")
    monkeypatch.chdir("/")
    assert_same(read_movies(job / "run_data.star"), movies)

"""RELION's STAR files mean what RELION says."""

from dataclasses import replace

import numpy as np
import pytest
import starfile
from movies_on_disk import BOX, make_movies, pixels, without, write_as_star, write_with_mrcfile

from temporem.movies.reading import ReadingOptions, read_movies
from temporem.movies.writing import write_movies_star, write_poses_star

RELION_30 = """
data_

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnAngleRot #3
_rlnAngleTilt #4
_rlnAnglePsi #5
_rlnOriginX #6
_rlnOriginY #7
_rlnDetectorPixelSize #8
_rlnMagnification #9
000003@stack.mrcs m1.mrc 0 0 90 1.5 -2 7.0 35000
000001@stack.mrcs m1.mrc 0 90 0 0 0 7.0 35000
000002@stack.mrcs m2.mrc 90 0 0 0 0 7.0 35000
000004@stack.mrcs m2.mrc 0 0 0 0 0 7.0 35000
"""


@pytest.fixture
def relion_30(tmp_path):
    write_with_mrcfile(tmp_path / "stack.mrcs", pixels(4), pixel_size=2)
    path = tmp_path / "run_data.star"
    path.write_text(RELION_30)
    return path


def test_relion_30(relion_30):
    movies = read_movies(relion_30)
    assert movies.pixel_size_in_angstroms == pytest.approx(2)
    assert movies.movie_ids == ("m1.mrc", "m2.mrc")
    np.testing.assert_array_equal(movies.frame, [0, 1, 0, 1])
    np.testing.assert_array_equal(movies.images.read(np.array([0, 3, 1])), pixels(4)[[2, 3, 0]])
    np.testing.assert_allclose(movies.translation_in_angstroms[0], [-3, 4])
    # RELION's documentation: psi = 90° turns the molecule's x axis to −y of the image.
    np.testing.assert_allclose(movies.rotation[0], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    # tilt = 90° looks along the molecule's x axis.
    np.testing.assert_allclose(movies.rotation[1], [[0, 0, -1], [0, 1, 0], [1, 0, 0]], atol=1e-12)
    assert movies.contrast_transfer is None
    assert movies.dose is None


@pytest.mark.parametrize(
    ("present", "taken"),
    [
        ({"rlnGroupName", "rlnMicrographName"}, "rlnGroupName"),
        ({"rlnParticleName", "rlnGroupName"}, "rlnParticleName"),
        ({"rlnTomoParticleName", "rlnParticleName", "rlnMicrographName"}, "rlnTomoParticleName"),
    ],
)
def test_first_movie_column_present_is_taken(relion_30, present, taken):
    block = starfile.read(relion_30)
    block = block.drop(columns="rlnMicrographName")
    for name in sorted(present):
        block[name] = [f"{name}-{i % 2}" for i in range(4)]
    starfile.write(block, relion_30, overwrite=True)
    movies = read_movies(relion_30)
    assert movies.movie_ids == (f"{taken}-0", f"{taken}-1")
    assert movies.provenance["movies"] == f"column {taken}"
    assert movies.provenance["frames"] == "order of the file"


def test_named_columns_interval_and_dose(relion_30):
    block = starfile.read(relion_30)
    block["mine"], block["number"] = ["07", "7", "07", "7"], [5.0, 2.0, 1.0, 9.0]
    block["rlnMicrographPreExposure"] = [1.0, 2.0, 3.0, 4.0]
    starfile.write(block, relion_30, overwrite=True)
    options = ReadingOptions(movie_column="mine", frame_column="number", frame_interval=0.5)
    movies = read_movies(relion_30, options)
    # The names as the file itself writes them mean the same.
    written = read_movies(relion_30, replace(options, movie_column="_mine", frame_column="_number"))
    assert written.movie_ids == movies.movie_ids
    np.testing.assert_array_equal(written.frame, movies.frame)
    # starfile drops the zero of 07 when it reads numbers; written as text it stays.
    assert movies.movie_ids == ("07", "7")
    np.testing.assert_array_equal(movies.frame, [5, 2, 1, 9])
    np.testing.assert_allclose(movies.time, [2.5, 1, 0.5, 4.5])
    assert movies.time_unit == "seconds"
    np.testing.assert_allclose(movies.dose, [1, 2, 3, 4])
    assert [rows.tolist() for _, rows in movies.rows_by_movie()] == [[2, 0], [1, 3]]


def test_times_in_seconds_make_the_round_trip(tmp_path):
    movies = make_movies(tmp_path)
    timed = without(movies, "rotation", "translation_in_angstroms", "contrast_transfer")
    object.__setattr__(timed, "time", np.array([0, 0.1, 0.7, 0, 0.2, 0.3, 1.1, 0.25, 1 / 3]))
    object.__setattr__(timed, "time_unit", "seconds")
    found = read_movies(write_as_star(tmp_path, timed))
    np.testing.assert_allclose(found.time, timed.time, rtol=1e-8)
    assert found.time_unit == "seconds"
    assert found.rotation is None
    assert found.contrast_transfer is None
    counted = read_movies(tmp_path / "movies.star", ReadingOptions(frame_interval=2.0))
    np.testing.assert_allclose(counted.time, 2.0 * movies.frame)


def test_optics_groups_are_merged(tmp_path):
    movies = make_movies(tmp_path)
    movies.contrast_transfer.voltage_in_kilovolts[[1, 4]] = 200.0
    found = read_movies(write_as_star(tmp_path, movies))
    assert found.contrast_transfer.voltage_in_kilovolts.tolist() == [
        300,
        200,
        300,
        300,
        200,
        300,
        300,
        300,
        300,
    ]
    assert len(starfile.read(tmp_path / "movies.star")["optics"]) == 2


def test_an_independent_reader_sees_the_same_columns(tmp_path):
    movies = make_movies(tmp_path)
    particles = starfile.read(write_as_star(tmp_path, movies))["particles"]
    np.testing.assert_allclose(
        particles["rlnOriginXAngst"], -movies.translation_in_angstroms[:, 0], rtol=1e-8
    )
    np.testing.assert_allclose(
        particles["rlnDefocusU"], movies.contrast_transfer.defocus_u_in_angstroms, rtol=1e-7
    )
    assert list(particles["rlnImageName"])[-1] == "000009@movies.mrcs"
    assert list(particles["rlnMicrographFrameNumber"]) == movies.frame.tolist()


def test_poses_star_names_images_wherever_it_lies(tmp_path):
    movies = make_movies(tmp_path)
    source = read_movies(write_as_star(tmp_path, movies))
    shift = movies.translation_in_angstroms[::-1]
    write_poses_star(tmp_path / "run" / "poses.star", source, movies.rotation[::-1], shift)
    found = read_movies(tmp_path / "run" / "poses.star")
    np.testing.assert_allclose(found.rotation, movies.rotation[::-1], atol=1e-7)
    np.testing.assert_allclose(found.translation_in_angstroms, shift, atol=1e-7)
    np.testing.assert_array_equal(found.images.read(np.arange(3)), pixels()[:3])


def test_poses_of_images_that_are_not_on_disk_keep_their_order(tmp_path):
    movies = make_movies(tmp_path)
    star = write_as_star(tmp_path, without(movies, "rotation", "translation_in_angstroms"))

    class InMemory:
        box_size = BOX

        def __len__(self):
            return len(movies)

        def read(self, rows):
            return pixels()[rows]

    turned = movies.rotation[::-1]
    write_poses_star(tmp_path / "p.star", replace(movies, images=InMemory()), turned, np.zeros((9, 2)))
    found = read_movies(star, ReadingOptions(poses=tmp_path / "p.star"))
    np.testing.assert_allclose(found.rotation, turned, atol=1e-7)


def test_quotes_blanks_and_hashes_within_names(relion_30):
    text = relion_30.read_text().replace("m1.mrc", "o'brien#1.mrc").replace("m2.mrc", '"two words"')
    relion_30.write_text(text)
    assert read_movies(relion_30).movie_ids == ("o'brien#1.mrc", "two words")


def test_awkward_movie_names_make_the_round_trip(tmp_path):
    movies = make_movies(tmp_path)
    object.__setattr__(movies, "movie_ids", ('o\'brien "x" #1', "loop_", "007"))
    names = [f"{i + 1}@movies.mrcs" for i in range(len(movies))]
    write_movies_star(tmp_path / "odd.star", movies, names)
    assert read_movies(tmp_path / "odd.star").movie_ids == movies.movie_ids


def test_what_is_left_out_is_said(relion_30):
    block = starfile.read(relion_30)
    block["rlnBeamTiltX"], block["rlnBeamTiltY"] = 0.3, 0.0
    starfile.write(block, relion_30, overwrite=True)
    assert read_movies(relion_30).provenance["ignored"] == "rlnBeamTiltX"


def test_box_is_the_images(relion_30):
    assert read_movies(relion_30).images.box_size == BOX

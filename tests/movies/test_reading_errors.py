"""What a user can get wrong is said in one sentence that names the place and the remedy."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from movies_on_disk import (
    BOX,
    cryosparc_records,
    make_movies,
    pixels,
    without,
    write_as_cryodrgn,
    write_as_cryosparc,
    write_as_folder,
    write_as_star,
    write_movie_table,
    write_with_mrcfile,
)

from temporem.errors import UserError
from temporem.movies.reading import ReadingOptions, read_movies, require_poses


@pytest.fixture
def movies(tmp_path):
    return make_movies(tmp_path)


@pytest.fixture
def star(tmp_path, movies):
    return write_as_star(tmp_path, movies)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def fails(match, path, **options):
    with pytest.raises(UserError, match=match) as error:
        read_movies(path, ReadingOptions(**options))
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message


def test_paths(tmp_path, star):
    fails("does not exist", tmp_path / "none.star")
    fails("does not exist", tmp_path / "none")
    fails("no image stacks", tmp_path / "none*.mrcs")
    (tmp_path / "a.txt").write_text("none.mrcs\n")
    fails(
        "names the stack none.mrcs, which does not exist .tried .*; put it there, or correct its path",
        tmp_path / "a.txt",
    )
    (tmp_path / "b.txt").write_text("\n")
    fails("lists no stacks", tmp_path / "b.txt")
    (tmp_path / "movies.pdf").write_text("")
    fails("no format that temporem reads", tmp_path / "movies.pdf")
    (tmp_path / "empty").mkdir()
    fails("no image stacks", tmp_path / "empty")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "_rlnImageName",
            "_rlnOther",
            "no column rlnImageName; export the particles with it .it has .*rlnOther",
        ),
        ("_rlnAngleTilt", "_rlnOther", "no column rlnAngleTilt; .* with it, or .* --pose-file"),
        ("_rlnOriginYAngst", "_rlnOther", "no column rlnOriginYAngst; .* with it, or .* --pose-file"),
        ("_rlnDefocusU", "_rlnOther", "no column rlnDefocusU"),
        ("_rlnDefocusV", "_rlnOther", "no column rlnDefocusV"),
        ("_rlnVoltage", "_rlnOther", "no column rlnVoltage; export the particles with it"),
        ("_rlnTomoParticleName", "_rlnOther", "does not say which movie .* --movie-column"),
        ("000009@", "000010@", r"row 8 asks for image 10 of .*movies.mrcs, which holds 9 .*: give the stack"),
        ("000009@movies", "movies", "row 8: 'movies.mrcs' does not say which of that stack's 9 images"),
        ("000009@", "000000@", "row 8: '000000@movies.mrcs' is not an image name; write the image's number"),
        ("000002@movies", "000002@gone", "names the stack gone.mrcs, which does not exist .tried "),
        (
            "\tgamma\t2\t",
            "\tgamma\tx\t",
            "row 7, column rlnMicrographFrameNumber: 'x' is not a number; correct",
        ),
        (
            "\tgamma\t2\t",
            "\tgamma\tinf\t",
            "row 7, column rlnMicrographFrameNumber: 'inf' is not a finite number; correct",
        ),
        ("\tgamma\t2\t", "\tgamma\t2.5\t", "row 7, .*'2.5' is not a whole number; correct"),
        (
            "\tgamma\t2\t",
            "\tgamma\t4\t",
            "rows 7 and 8 are both frame 4 of 'gamma', so it merges several particles",
        ),
        ("\tgamma\t2\t", "\tdelta\t2\t", "movie 'delta' has one frame"),
        ("\tgamma\t2\t", "\t?\t2\t", "row 7, column rlnTomoParticleName: '' cannot name a movie"),
        ("data_particles", "data_micrographs", "no table data_particles"),
        ("data_optics", "data_", "no column rlnVoltage"),
        ("loop_", "loop", "is not a STAR file"),
        ("\tgamma\t2\t", "\tgamma\t", "is not a STAR file"),
        ("_rlnOpticsGroup #1", "_rlnOther #1", "rlnOpticsGroup is not in both of its tables; add it"),
    ],
)
def test_star(star, old, new, message):
    edit(star, old, new)
    fails(message, star)


def test_a_table_of_images_of_another_box(tmp_path, movies, star):
    """As after down-sampling: the pixel size it states is not that of these images."""
    size, other = f"\t{BOX}\t2\t", f"\t{2 * BOX}\t2\t"
    edit(star, size, other)
    match = f"about images of {2 * BOX} pixels .rlnImageSize. but .* holds images of {BOX}; .*--pixel-size"
    fails(match, star)
    assert read_movies(star, ReadingOptions(pixel_size=3.0)).pixel_size_in_angstroms == 3.0
    folder = write_as_folder(tmp_path, movies)
    edit(folder / "poses.star", size, other)
    fails(match, folder)


def test_star_of_an_unknown_optics_group(star):
    edit(star, "1\topticsGroup1", "7\topticsGroup1")
    fails("row 0 is of optics group 1, which data_optics does not have; add the group there", star)


def test_star_without_rows(star):
    star.write_text("data_particles\n\n")
    fails("lists no images", star)
    star.write_text("")
    fails("no table data_particles", star)
    star.write_bytes(b"\xff\xfe\x00data")
    fails("is not a STAR file", star)


@pytest.mark.parametrize("name", ["rlnCtfDataAreCtfPremultiplied", "rlnCtfDataArePhaseFlipped"])
def test_images_changed_by_the_ctf(star, name):
    edit(star, "_rlnImageDimensionality #5", f"_{name} #5")
    fails(f"already multiplied or phase-flipped by the CTF .{name}", star)


def test_pixel_size(tmp_path, star):
    edit(star, "opticsGroup1\t3.2\t", "opticsGroup1\t1.6\t")
    fails(
        "pixel size is 1.6 Å in .*movies.star .* but 3.2 Å in the header of .*; say which with --pixel-size",
        star,
    )
    assert read_movies(star, ReadingOptions(pixel_size=1.6)).pixel_size_in_angstroms == 1.6
    for silent in (0, 1):
        write_with_mrcfile(tmp_path / "stacks" / "a.mrcs", pixels(2), silent)
        fails("do not say the pixel size; give it in Å with --pixel-size", tmp_path / "stacks")
        (tmp_path / "stacks" / "a.mrcs").unlink()
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="--pixel-size"):
            ReadingOptions(pixel_size=wrong)
    with pytest.raises(UserError, match="--frame-interval"):
        ReadingOptions(frame_interval=0.0)


def test_pixel_sizes_that_differ_between_optics_groups(tmp_path, movies):
    movies.contrast_transfer.voltage_in_kilovolts[4] = 200.0
    star = write_as_star(tmp_path, movies)
    edit(star, "opticsGroup1\t3.2\t", "opticsGroup1\t1.6\t")
    for given in (None, 3.2):
        fails(
            "column rlnImagePixelSize: 3.2 in row 0 but 1.6 in row 4; .* with or without --pixel-size",
            star,
            pixel_size=given,
        )


def test_poses_missing_is_legal_until_they_are_needed(tmp_path, movies):
    star = write_as_star(tmp_path, without(movies, "rotation", "translation_in_angstroms"))
    found = read_movies(star)
    assert found.rotation is None
    assert found.provenance["poses"] == "none"
    with pytest.raises(UserError, match=r"movies.star holds no poses, .* --pose-file"):
        require_poses(found)
    assert require_poses(movies) is movies


def test_stacks(tmp_path, movies, star):
    fails("divides .*movies.mrcs into several movies.*give .*movies.star itself", tmp_path)
    folder = write_as_folder(tmp_path, movies)
    edit(folder / "poses.star", "000002@beta", "000003@beta")
    fails("two rows, 4 and 5, for one image, 000003@beta.mrcs; remove one", folder)
    edit(folder / "poses.star", "000003@beta", "000009@gone")
    fails(r"no row for image 000002@.*beta.mrcs \(2 of 9 .*; give a table", folder)
    edit(folder / "poses.star", "000009@gone", "000009@beta")
    fails(r"row 4 asks for image 9 of .*beta.mrcs, which holds 4", folder)
    edit(folder / "poses.star", "000009@beta", "000002@beta")
    (folder / "more.star").write_text("data_\n")
    fails("more than one table .more.star, poses.star.; say which with --pose-file", folder)
    (folder / "more.star").unlink()
    (folder / "poses.star").write_text("data_\nloop_\n_rlnAngleRot\n1\n2\n")
    fails("has 2 rows but there are 9 images", folder)
    (folder / "poses.star").unlink()
    fails("no table beside its stacks", folder, movie_column="x")
    write_with_mrcfile(folder / "single.mrcs", pixels(1))
    fails("one movie per stack: movie 'single' has one frame", folder)


def test_equal_stack_names_in_several_folders(tmp_path):
    for name in ("a", "b"):
        write_with_mrcfile(tmp_path / name / "movie.mrcs", pixels(2))
    found = read_movies(tmp_path / "*" / "movie.mrcs")
    assert found.movie_ids == ("a/movie", "b/movie")
    (tmp_path / "p.csv").write_text("rlnImageName,rlnAngleRot\n1@movie.mrcs,0\n")
    fails(
        "image name movie.mrcs may mean any of .*write more of its folder",
        tmp_path / "*/*.mrcs",
        poses=tmp_path / "p.csv",
    )


def test_natural_order_of_stacks(tmp_path):
    for name in ("m10", "m9", "m1"):
        write_with_mrcfile(tmp_path / f"{name}.mrcs", pixels(2))
    assert read_movies(tmp_path).movie_ids == ("m1", "m9", "m10")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,movie\n0,a\n", r"does not list image 1 \(8 of 9"),
        ("image,movie\n" + "".join(f"{i},a\n" for i in range(9)) + "3,a\n", "lists more than once image 3"),
        ("image,movie\n9,a\n", "row 0 is about image 9, but the input has images 0 to 8; count .* from 0"),
        ("image,movie\n-1,a\n", "about image -1"),
        ("row,movie\n0,a\n", "no column image; name image and movie in its first line .it has row, movie"),
        ("image;movie\n0;a,b\n", "separates its columns by semicolons; separate them by commas"),
        ("image,frame\n" + "".join(f"{i},0\n" for i in range(9)), "no column movie; name image and movie"),
        (
            "image,movie,frame\n" + "".join(f"{i},a,{i // 2}\n" for i in range(9)),
            "rows 0 and 1 are both frame 0",
        ),
        ("image,movie,frame,time\n" + "".join(f"{i},a,{i},{-i}\n" for i in range(9)), "times must rise"),
        ("image,movie,time\n" + "".join(f"{i},a,{i // 2}\n" for i in range(9)), "times must rise"),
        ("image,movie\n0,a,3\n", "line 2 has 3 values but the header names 2"),
        ("image,image\n0,a\n", "names a column twice"),
        ("", "has no rows"),
    ],
)
def test_movie_table(tmp_path, movies, star, text, message):
    (tmp_path / "t.csv").write_text(text)
    fails(message, star, movie_table=tmp_path / "t.csv")


def test_movie_table_and_interval(tmp_path, movies, star):
    (tmp_path / "t.csv").write_text("image,movie,time\n" + "".join(f"{i},a,{i / 2}\n" for i in range(9)))
    fails("--frame-interval is given too", star, movie_table=tmp_path / "t.csv", frame_interval=2.0)
    found = read_movies(star, ReadingOptions(movie_table=tmp_path / "t.csv"))
    assert found.time_unit == "seconds"
    np.testing.assert_allclose(found.time, np.arange(9) / 2)
    np.testing.assert_array_equal(found.frame, np.arange(9))
    (tmp_path / "t.csv").write_bytes(b"\xff\xff\xff")
    fails("not a comma-separated text file", star, movie_table=tmp_path / "t.csv")
    fails("does not exist", star, movie_table=tmp_path / "gone.csv")


def test_cryodrgn(tmp_path, movies):
    stack, poses, ctf = write_as_cryodrgn(tmp_path, movies)
    table = write_movie_table(tmp_path, movies)
    fails("does not say which movie an image belongs to; give a --movie-table", stack, poses=poses)

    def with_poses(value, match):
        poses.write_bytes(pickle.dumps(value))
        fails(match, stack, movie_table=table, poses=poses)

    eye = np.tile(np.eye(3), (9, 1, 1))
    with_poses(eye[:4], r"rotations of shape \(4, 3, 3\) where \(9, 3, 3\) is needed, .*; give")
    with_poses(2 * eye, "image 0 is not a rotation")
    with_poses(-eye, "image 0 is not a rotation")
    with_poses((eye, np.full((9, 2), 3.0)), "translation of image 0 is 3 boxes long")
    with_poses((eye, np.full((9, 2), np.nan)), "not finite")
    with_poses((eye, eye, eye), "holds 3 arrays")
    with_poses({"rot": [1]}, "does not hold an array of rotations")
    poses.write_bytes(pickle.dumps((eye,)))
    found = read_movies(stack, ReadingOptions(movie_table=table, poses=poses))
    np.testing.assert_array_equal(found.translation_in_angstroms, 0)

    values = pickle.loads(ctf.read_bytes())
    ctf.write_bytes(pickle.dumps(values[:, :8]))
    fails(r"CTF parameters of shape \(9, 8\)", stack, movie_table=table, ctf=ctf)
    values[3, 1] = 2
    ctf.write_bytes(pickle.dumps(values))
    fails("different box or pixel size", stack, movie_table=table, ctf=ctf)
    ctf.write_bytes(b"not a pickle")
    fails(
        "could not be read as a pickle of arrays: .*; give the file that cryoDRGN wrote",
        stack,
        movie_table=table,
        ctf=ctf,
    )
    fails("no kind that holds poses or CTF", stack, movie_table=table, ctf=table.with_suffix(".txt"))
    fails("has no CTF", stack, movie_table=table, ctf=table)


def test_cryodrgn_ctf_of_a_larger_box_keeps_the_field_of_view(tmp_path, movies):
    stack, _, ctf = write_as_cryodrgn(tmp_path, movies)
    values = pickle.loads(ctf.read_bytes())
    values[:, 0], values[:, 1] = 4 * BOX, 0.8
    ctf.write_bytes(pickle.dumps(values))
    found = read_movies(stack, ReadingOptions(movie_table=write_movie_table(tmp_path, movies), ctf=ctf))
    assert found.pixel_size_in_angstroms == pytest.approx(3.2)


class Touches:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickle_cannot_run_anything(tmp_path, movies):
    stack, poses, _ = write_as_cryodrgn(tmp_path, movies)
    poses.write_bytes(pickle.dumps(Touches(tmp_path / "touched")))
    fails("names posix.mkdir, and only numpy arrays are admitted", stack, poses=poses)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("old_numpy", [False, True])
def test_pickles_of_every_protocol_and_of_old_numpy(tmp_path, movies, protocol, old_numpy):
    stack, poses, _ = write_as_cryodrgn(tmp_path, movies)
    data = pickle.dumps((movies.rotation, movies.translation_in_angstroms / 100), protocol)
    if old_numpy and protocol < 4:
        # From protocol 4 on, names carry their length.
        data = data.replace(b"numpy._core", b"numpy.core")
    poses.write_bytes(data)
    found = read_movies(stack, ReadingOptions(movie_table=write_movie_table(tmp_path, movies), poses=poses))
    np.testing.assert_array_equal(found.rotation, movies.rotation)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("blob/path", "no field blob/path"),
        ("blob/idx", "no field blob/idx"),
        ("alignments3D/shift", "no field alignments3D/shift"),
        ("ctf/cs_mm", "no field ctf/cs_mm"),
    ],
)
def test_cryosparc_lacks_a_field(tmp_path, movies, field, message):
    records = cryosparc_records(movies)
    kept = records[[name for name in records.dtype.names if name != field]]
    path = write_as_cryosparc(tmp_path, movies, kept)
    fails(message, path, movie_table=write_movie_table(tmp_path, movies))


def test_cryosparc(tmp_path, movies):
    path = write_as_cryosparc(tmp_path, movies)
    fails("does not say which movie .* --movie-table", path)
    fails("no field nothing .* name another with --movie-column", path, movie_column="nothing")
    for name, value, message in (
        ("blob/idx", 99, "asks for image 100"),
        ("blob/path", b"gone.mrcs", "names the stack gone.mrcs, which does not exist"),
        ("blob/psize_A", 0, "record 0, field blob/psize_A: not a positive number; correct it"),
        ("alignments3D/pose", np.nan, "record 0, field alignments3D/pose: not a finite number; correct it"),
    ):
        records = cryosparc_records(movies)
        records[name] = value
        write_as_cryosparc(tmp_path, movies, records)
        fails(message, path, movie_table=write_movie_table(tmp_path, movies))
    write_as_cryosparc(tmp_path, movies, np.zeros(3))
    fails("holds no list of records", path)
    write_as_cryosparc(tmp_path, movies, np.array([Path()], dtype=object))
    fails("is not a .cs file", path)


def test_errors_hold_whatever_format_poses_are_given_in(tmp_path, star):
    bare = tmp_path / "bare.csv"
    bare.write_text("rlnImageName,rlnDefocusU\n" + "".join(f"{i + 1}@movies.mrcs,1\n" for i in range(9)))
    fails("bare.csv has no column rlnDefocusV", star, poses=bare)
    bare.write_text("rlnImageName,x\n" + "".join(f"{i + 1}@movies.mrcs,1\n" for i in range(9)))
    fails("bare.csv has no poses", star, poses=bare)


def test_stacks_of_several_folders_do_not_lose_the_tables_beside_them(tmp_path):
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_as_folder(folder, make_movies(folder))
    with pytest.raises(UserError, match=r"poses\.star.*--pose-file"):
        read_movies(tmp_path / "*" / "*" / "*.mrcs")

"""Whatever the bytes, columns and names, a reader gives consistent movies or one sentence."""

import io
import pickle
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from movies_on_disk import (
    cryosparc_records,
    make_movies,
    pixels,
    write_as_cryodrgn,
    write_as_star,
    write_movie_table,
)

from temporem.errors import UserError
from temporem.movies.movie_columns import assign_movies
from temporem.movies.movie_set import MovieSet
from temporem.movies.reading import ReadingOptions, read_movies
from temporem.movies.writing import write_movies_star

few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@lru_cache
def valid_files() -> dict[str, bytes]:
    """One small file of every kind, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        movies = make_movies(folder)
        write_as_star(folder, movies)
        write_as_cryodrgn(folder, movies)
        write_movie_table(folder, movies)
        tifffile.imwrite(folder / "movie.tif", pixels(2), photometric="minisblack")
        tifffile.imwrite(folder / "packed.tif", pixels(2), photometric="minisblack", compression="zlib")
        records = io.BytesIO()
        np.save(records, cryosparc_records(movies))
        (folder / "particles.cs").write_bytes(records.getvalue())
        (folder / "list.txt").write_text("movies.mrcs\n")
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_with(changed: str, data: bytes) -> None:
    """Write all files with one of them changed, and read every format that takes that one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for other, content in valid_files().items():
            (folder / other).write_bytes(content)
        (folder / changed).write_bytes(data)
        table = folder / "table.csv"
        pickles = ReadingOptions(movie_table=table, poses=folder / "poses.pkl", ctf=folder / "ctf.pkl")
        routes = {
            "movies.star": (folder / "movies.star", ReadingOptions()),
            "movies.mrcs": (folder / "movies.star", ReadingOptions()),
            "particles.cs": (folder / "particles.cs", ReadingOptions(movie_table=table)),
            "table.csv": (folder / "movies.star", ReadingOptions(movie_table=table)),
            "list.txt": (folder / "list.txt", pickles),
            "poses.pkl": (folder / "movies.mrcs", pickles),
            "ctf.pkl": (folder / "movies.mrcs", pickles),
            "movie.tif": (folder / "movie.t*", ReadingOptions(pixel_size=2.0)),
            "packed.tif": (folder / "packed.t*", ReadingOptions(pixel_size=2.0)),
        }
        path, options = routes[changed]
        try:
            found = read_movies(path, options)
            found.images.read(np.arange(len(found)))
        except UserError as error:
            message = str(error)
        else:
            check_consistent(found)
            return
        assert "\n" not in message


def check_consistent(movies: MovieSet) -> None:
    seen = set()
    for movie_id, rows in movies.rows_by_movie():
        assert len(rows) >= 2
        assert len(set(movies.frame[rows])) == len(rows)
        assert (np.diff(movies.time[rows]) > 0).all()
        assert (np.diff(movies.frame[rows]) > 0).all()
        seen |= {(movie_id, row) for row in rows}
    assert len(seen) == len(movies) == len(movies.images)
    assert movies.pixel_size_in_angstroms > 0
    if movies.rotation is not None:
        products = movies.rotation @ movies.rotation.swapaxes(-1, -2)
        np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=3e-3)


KINDS = (
    "movies.star",
    "movies.mrcs",
    "particles.cs",
    "table.csv",
    "list.txt",
    "poses.pkl",
    "ctf.pkl",
    "movie.tif",
    "packed.tif",
)


@pytest.mark.parametrize("kind", KINDS)
def test_valid_files_are_read(kind):
    read_with(kind, valid_files()[kind])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=200))
@few
def test_any_bytes(kind, data):
    read_with(kind, data)


@pytest.mark.parametrize("kind", KINDS)
@given(start=st.floats(0, 1), removed=st.integers(0, 40), inserted=st.binary(max_size=12))
@few
def test_any_damage(kind, start, removed, inserted):
    data = valid_files()[kind]
    # Metadata is at the beginning of binary files: damage there as often as anywhere.
    at = int(start * min(len(data), 1200 if removed % 2 else len(data)))
    read_with(kind, data[:at] + inserted + data[at + removed :])


@given(text=st.text(st.sampled_from("01.;'\"#_ \n\tloop_data_x@?-e"), max_size=80))
@few
def test_any_text_in_a_star_file(text):
    star = valid_files()["movies.star"].decode()
    read_with("movies.star", star.replace("gamma", text, 1).encode())


words = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"], include_characters=" "), min_size=1
)


@given(names=st.lists(words.filter(str.isprintable), min_size=3, max_size=3, unique=True))
@example(names=["'\"", "\"' x", "; "])
@example(names=["?", ".", "loop_"])
@few
def test_movie_names_make_the_round_trip(names):
    with tempfile.TemporaryDirectory() as folder:
        movies = make_movies(Path(folder))
        object.__setattr__(movies, "movie_ids", tuple(names))
        write_movies_star(
            Path(folder) / "a.star", movies, [f"{i + 1}@movies.mrcs" for i in range(len(movies))]
        )
        assert read_movies(Path(folder) / "a.star").movie_ids == tuple(names)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-3, 6), st.floats(-5, 5)), min_size=1, max_size=12
    ),
    with_frames=st.booleans(),
    with_times=st.booleans(),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_assignment(rows, with_frames, with_times):
    ids, frames, times = zip(*rows, strict=True)
    of_movie = {name: [i for i, other in enumerate(ids) if other == name] for name in ids}
    keys = [
        [(frames[i] if with_frames else 0, times[i] if with_times else 0) for i in x]
        for x in of_movie.values()
    ]
    legal = all(len(x) >= 2 for x in of_movie.values())
    if with_frames:
        legal &= all(len({frame for frame, _ in key}) == len(key) for key in keys)
    if with_times:
        legal &= all(len({time for _, time in key}) == len(key) for key in keys)
    if with_frames and with_times:
        legal &= all(sorted(key) == sorted(key, key=lambda pair: pair[1]) for key in keys)
    try:
        found = assign_movies(
            "source",
            ids,
            frame=np.array(frames) if with_frames else None,
            time_in_seconds=np.array(times) if with_times else None,
            frame_interval_in_seconds=None,
            movie_words="column movie",
            frame_words="column frame",
            time_words="column time",
        )
    except UserError:
        assert not legal
        return
    assert legal
    assert [found.movie_ids[i] for i in found.movie] == list(ids)
    np.testing.assert_array_equal(found.time, times if with_times else found.frame)
    for members in of_movie.values():
        if with_frames:
            assert [found.frame[i] for i in members] == [frames[i] for i in members]
        else:
            order = sorted(members, key=lambda i: times[i]) if with_times else members
            assert [found.frame[i] for i in order] == list(range(len(members)))


@given(
    values=st.recursive(
        st.none() | st.integers() | st.text(max_size=3), lambda x: st.lists(x, max_size=3) | st.tuples(x)
    )
)
@few
def test_any_plain_pickle(values):
    read_with("poses.pkl", pickle.dumps(values))

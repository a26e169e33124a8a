"""Every second movie, and frames in random order: what a reading option leaves of the input."""

from pathlib import Path

import numpy as np
import pytest
from movies_on_disk import make_movies, write_as_star

from temporem.errors import UserError
from temporem.movies.reading import ReadingOptions, read_movies


@pytest.fixture
def star(tmp_path: Path) -> Path:
    write_as_star(tmp_path, make_movies(tmp_path))
    return tmp_path / "movies.star"


def test_halves_share_no_movie_and_lose_none(star: Path) -> None:
    whole = read_movies(star)
    seen = np.zeros(len(whole), dtype=int)
    for half in ("first", "second"):
        part = read_movies(star, ReadingOptions(half=half))
        rows = np.concatenate(
            [np.flatnonzero(whole.movie == whole.movie_ids.index(name)) for name in part.movie_ids]
        )
        rows.sort()
        seen[rows] += 1
        np.testing.assert_array_equal(part.images.read(np.arange(len(part))), whole.images.read(rows))
        np.testing.assert_array_equal(part.rotation, whole.rotation[rows])
        np.testing.assert_array_equal(part.translation_in_angstroms, whole.translation_in_angstroms[rows])
        np.testing.assert_array_equal(part.time, whole.time[rows])
        assert [part.movie_ids[i] for i in part.movie] == [whole.movie_ids[i] for i in whole.movie[rows]]
        for (_, ours), (_, theirs) in zip(
            part.contrast_transfer.tensors(), whole.contrast_transfer.tensors(), strict=True
        ):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy()[rows])
    assert (seen == 1).all()


def test_a_null_has_the_same_frames_at_other_times(star: Path) -> None:
    whole, null = read_movies(star), read_movies(star, ReadingOptions(null="shuffle", null_seed=3))
    assert (null.frame != whole.frame).any()
    for movie in range(len(whole.movie_ids)):
        own = whole.movie == movie
        np.testing.assert_array_equal(np.sort(null.frame[own]), np.sort(whole.frame[own]))
    np.testing.assert_array_equal(null.rotation, whole.rotation)
    assert "null" in null.provenance["order of frames"]
    assert "seed 3" in null.provenance["order of frames"]
    assert "order of frames" not in whole.provenance


def test_the_null_depends_on_its_seed_alone(star: Path) -> None:
    first, again, other = (
        read_movies(star, ReadingOptions(null="shuffle", null_seed=seed)).frame for seed in (0, 0, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="--null-seed is -1"):
        ReadingOptions(null_seed=-1)

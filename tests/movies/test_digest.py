from dataclasses import replace

import mrcfile
import numpy as np
import pytest
import torch
from made_movies import contrast_transfer, movie_set, noise

from temporem.movies import digest
from temporem.movies.digest import digest_of
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet

IMAGES = noise(12, 16, "white")


def movies() -> MovieSet:
    return movie_set(
        IMAGES,
        rotation=np.tile(np.eye(3), (12, 1, 1)),
        translation_in_angstroms=np.zeros((12, 2)),
        contrast_transfer=contrast_transfer(12, torch.Generator().manual_seed(0)),
    )


def test_the_same_movies_have_the_same_digest():
    assert digest_of(movies()) == digest_of(movies())
    assert len(digest_of(movies())) == 64


def changed(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flat[-1] += 1e-6 if values.dtype.kind == "f" else 1
    return values


@pytest.mark.parametrize("name", ["movie", "frame", "time", "rotation", "translation_in_angstroms"])
def test_every_array_counts(name):
    before = movies()
    after = replace(before, **{name: changed(getattr(before, name))})
    assert digest_of(after) != digest_of(before)


@pytest.mark.parametrize(
    "what",
    [
        {"pixel_size_in_angstroms": 3.01},
        {"movie_ids": ("one", "three")},
        {"contrast_transfer": None},
        {"rotation": None},
    ],
    ids=str,
)
def test_what_is_there_counts(what):
    assert digest_of(replace(movies(), **what)) != digest_of(movies())


def test_one_defocus_counts():
    before = movies()
    before.contrast_transfer.defocus_u_in_angstroms[5] += 1
    assert digest_of(before) != digest_of(movies())


def test_one_pixel_counts():
    images = IMAGES.copy()
    images[7, 3, 3] += 1
    assert digest_of(replace(movies(), images=movie_set(images).images)) != digest_of(movies())


def test_of_many_images_rows_from_first_to_last_count(monkeypatch):
    monkeypatch.setattr(digest, "BYTES_OF_IMAGES", 3 * 4 * 16**2)
    for row, counts in ((0, True), (1, False), (11, True)):
        images = IMAGES.copy()
        images[row, 3, 3] += 1
        other = digest_of(replace(movies(), images=movie_set(images).images))
        assert (other != digest_of(movies())) is counts


def test_sizes_of_files_count(monkeypatch, tmp_path):
    monkeypatch.setattr(digest, "BYTES_OF_IMAGES", 4 * 16**2)
    found = []
    for extra in (0, 1):
        path = tmp_path / f"{extra}.mrcs"
        with mrcfile.new(path) as file:
            file.set_data(np.concatenate((IMAGES, IMAGES[:extra])))
        whole = StackImages.all_of([open_stack(path)])
        rows = np.arange(12)
        images = StackImages(whole.stacks, whole.stack_of_row[rows], whole.slice_of_row[rows])
        found.append(digest_of(replace(movies(), images=images)))
    assert found[0] != found[1]

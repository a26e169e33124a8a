"""A fingerprint of movies, to tell whether they are still the ones that were seen before."""

import hashlib

import numpy as np

from temporem.movies.images import StackImages
from temporem.movies.movie_set import MovieSet

__all__ = ["digest_of"]

BYTES_OF_IMAGES = 2**26
"""Of the images read; more are sampled."""


def digest_of(movies: MovieSet) -> str:
    """SHA-256, in hexadecimal, of what a reconstruction depends on; not of the names of files.

    It covers the movie, frame index and time of every frame, its pose, its CTF and the pixel size, whole. Of
    the images it covers their box and number, the sizes of their files, and their pixels as float32: all of
    them up to 64 MiB, beyond that as many rows, evenly spaced, as fill 64 MiB.
    """
    digest = hashlib.sha256()

    def add(name: str, values: object) -> None:
        array = np.ascontiguousarray(values)
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.data)

    add("pixel size", np.float64(movies.pixel_size_in_angstroms))
    add("ids", np.array(movies.movie_ids))
    add("movie", movies.movie.astype(np.int64))
    add("frame", movies.frame.astype(np.int64))
    add("time", movies.time.astype(np.float64))
    for name, values in (
        ("rotation", movies.rotation),
        ("translation", movies.translation_in_angstroms),
    ):
        if values is not None:
            add(name, values.astype(np.float64))
    if movies.contrast_transfer is not None:
        for name, tensor in movies.contrast_transfer.tensors():
            add(name, tensor.double().numpy())
    images = movies.images
    if isinstance(images, StackImages):
        add("file sizes", np.array([stack.path.stat().st_size for stack in images.stacks]))
    most = max(1, BYTES_OF_IMAGES // (4 * images.box_size**2))
    count = min(most, len(images))
    rows = np.linspace(0, len(images) - 1, count).round().astype(np.int64)
    add("rows", rows)
    for some in np.array_split(rows, -(-count // 256)):
        add("images", images.read(some))
    return digest.hexdigest()

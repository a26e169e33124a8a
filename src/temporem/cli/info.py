"""`temporem info`: what is in the input and what would be done with it, without fitting anything."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from temporem.movies.description import describe
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies

__all__ = ["info"]


def info(
    movies: Positional[Annotated[Path, arg(metavar="MOVIES")]],
    reading: OmitArgPrefixes[ReadingOptions],
    preprocessing: OmitArgPrefixes[PreprocessingOptions],
) -> None:
    """Show what is in a file of movies, and what would be done with it, without fitting anything.

    Args:
        movies: RELION .star, cryoSPARC .cs, a stack (.mrcs, .txt) with poses, or a folder or pattern of them.
        reading: How the input is read.
        preprocessing: What is done to the images.
    """
    found = read_movies(movies, reading)
    print(describe(found, prepare_frames(found, preprocessing)))

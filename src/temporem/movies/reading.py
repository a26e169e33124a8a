"""From a path to a MovieSet, whatever format it is."""

from pathlib import Path

from temporem.errors import UserError
from temporem.movies.movie_set import MovieSet
from temporem.movies.pixel_size import settle_pixel_size
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.relion import read_relion
from temporem.movies.source import Source

__all__ = ["ReadingOptions", "read_movies", "require_poses"]


def read_movies(path: Path, options: ReadingOptions | None = None) -> MovieSet:
    """Read movies from a RELION .star file.

    Raises UserError for whatever is missing, unreadable or contradictory.
    """
    options = options or ReadingOptions()
    source = _source(path, options)
    pixel_size, pixel_size_words = settle_pixel_size(options.pixel_size, source.pixel_sizes, source.images)
    movies = source.movies()
    poses = source.poses(pixel_size)
    contrast_transfer = source.contrast_transfer
    provenance = {
        "file": source.words,
        **movies.provenance,
        "pixel size": pixel_size_words,
        "poses": "none" if poses is None else poses.words,
        "CTF": "none" if contrast_transfer is None else source.words,
        **source.notes,
    }
    return MovieSet(
        images=source.images,
        pixel_size_in_angstroms=pixel_size,
        movie_ids=movies.movie_ids,
        movie=movies.movie,
        frame=movies.frame,
        time=movies.time,
        time_unit=movies.time_unit,
        rotation=None if poses is None else poses.rotation,
        translation_in_angstroms=None if poses is None else poses.translation_in_angstroms,
        contrast_transfer=contrast_transfer,
        dose=source.dose,
        provenance=provenance,
    )


def require_poses(movies: MovieSet) -> MovieSet:
    """Return `movies`.

    Raises UserError where they have no poses.
    """
    if movies.rotation is None or movies.translation_in_angstroms is None:
        raise UserError(
            f"{movies.provenance.get('file', 'the input')} holds no poses (rlnAngleRot, rlnAngleTilt, rlnAnglePsi), which "
            "this needs; add the columns or give them with --poses."
        )
    return movies


def _source(path: Path, options: ReadingOptions) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".star":
        return read_relion(path, options)
    raise UserError(f"{path} is of no format that temporem reads; give a .star file.")

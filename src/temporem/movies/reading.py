"""From a path to a MovieSet, whatever format it is."""

from pathlib import Path

from temporem.errors import UserError
from temporem.movies.cryodrgn import read_stack_file
from temporem.movies.cryosparc import read_cryosparc
from temporem.movies.images import STACK_SUFFIXES
from temporem.movies.movie_set import MovieSet
from temporem.movies.movie_table import read_movie_table
from temporem.movies.pixel_size import settle_pixel_size
from temporem.movies.pose_and_ctf_files import with_given_files
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.relion import read_relion
from temporem.movies.source import Source
from temporem.movies.stacks import is_glob, read_stacks

__all__ = ["ReadingOptions", "read_movies", "require_poses"]


def read_movies(path: Path, options: ReadingOptions | None = None) -> MovieSet:
    """Read movies; only metadata is held, images stay on disk.

    `path` is a RELION .star, a cryoSPARC .cs, a folder or glob of one stack per movie, or a stack or .txt
    list of stacks as cryoDRGN takes them; the last, and usually .cs, need `options.movie_table`.

    Raises UserError for whatever is missing, unreadable or contradictory.
    """
    options = options or ReadingOptions()
    source = with_given_files(_source(path, options), options)
    if options.movie_table is None:
        movies = source.movies()
    else:
        movies = read_movie_table(options.movie_table, len(source.images), options.frame_interval)
    pixel_size, pixel_size_words = settle_pixel_size(options.pixel_size, source.pixel_sizes, source.images)
    poses = source.poses(pixel_size)
    provenance = {
        "file": source.words,
        **movies.provenance,
        "pixel size": pixel_size_words,
        "poses": "none" if poses is None else poses.words,
        "CTF": "none" if source.contrast_transfer is None else source.contrast_transfer_words or source.words,
        **source.notes,
    }
    found = MovieSet(
        images=source.images,
        pixel_size_in_angstroms=pixel_size,
        movie_ids=movies.movie_ids,
        movie=movies.movie,
        frame=movies.frame,
        time=movies.time,
        time_unit=movies.time_unit,
        rotation=None if poses is None else poses.rotation,
        translation_in_angstroms=None if poses is None else poses.translation_in_angstroms,
        contrast_transfer=source.contrast_transfer,
        dose=source.dose,
        provenance=provenance,
    )
    return _as_asked(found, options)


def _as_asked(movies: MovieSet, options: ReadingOptions) -> MovieSet:
    """All of the movies or a half of them, in their order or in a random one."""
    if options.null == "shuffle":
        order = f"this is a null: the frames of every movie are in random order (seed {options.null_seed})"
        movies = movies.shuffled(options.null_seed)
        movies.provenance["order of frames"] = order
    if options.half is not None:
        if len(movies.movie_ids) < 2:
            raise UserError(
                f"{movies.provenance['file']} holds one movie, which has no halves: leave out --half."
            )
        movies = movies.only(range(["first", "second"].index(options.half), len(movies.movie_ids), 2))
        movies.provenance["half"] = f"every second movie, from the {options.half} on"
    return movies


def require_poses(movies: MovieSet) -> MovieSet:
    """Return `movies`.

    Raises UserError where they have no poses.
    """
    if movies.rotation is None or movies.translation_in_angstroms is None:
        raise UserError(
            f"{movies.provenance.get('file', 'the input')} holds no poses, which this needs; give them with "
            "--pose-file, or find them with --poses estimate."
        )
    return movies


def _source(path: Path, options: ReadingOptions) -> Source:
    if path.is_dir() or is_glob(path):
        return read_stacks(path, options)
    suffix = path.suffix.lower()
    if suffix == ".star":
        return read_relion(path, options)
    if suffix == ".cs":
        return read_cryosparc(path, options)
    if suffix == ".txt" or suffix in STACK_SUFFIXES:
        return read_stack_file(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; check the path.")
    raise UserError(
        f"{path} is of no format that temporem reads; give a .star, a .cs, a stack "
        f"({', '.join(STACK_SUFFIXES)}), a .txt list of stacks, or a folder or quoted glob of stacks."
    )

"""A folder or glob of stacks, one movie each, with poses and CTF in a table beside them."""

import glob
import os
import re
from collections import Counter
from pathlib import Path

from temporem.errors import UserError
from temporem.movies.images import STACK_SUFFIXES, StackImages, open_stack
from temporem.movies.matching import match_rows, stacks_passed_over
from temporem.movies.movie_columns import (
    FRAME_COLUMN,
    TIME_COLUMN,
    MovieAssignment,
    assign_movies,
    movies_from_columns,
    particle_column,
)
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.relion import (
    check_image_size,
    relion_ctf,
    relion_dose,
    relion_notes,
    relion_pixel_size,
    relion_poses,
)
from temporem.movies.source import Source
from temporem.movies.star import TABLE_SUFFIXES, read_table
from temporem.movies.table import Table

__all__ = ["is_glob", "read_stacks"]

NAMES_SHOWN = 3


def is_glob(path: Path) -> bool:
    """Whether a path holds wildcards and is not itself a file or folder."""
    return glob.has_magic(str(path)) and not path.exists()


def read_stacks(path: Path, options: ReadingOptions) -> Source:
    """Read every stack in a folder, or that a glob names, in natural order (movie2 before movie10).

    Poses, CTF, dose, frame numbers and times come from `options.poses` if it is a .star or .csv, else from
    the one .star or .csv with RELION's columns in the folder, if there is one; `matching.match_rows` says
    which row is whose. A movie is named after its stack.

    Raises UserError where there is no stack, more than one such table, or as `match_rows` and
    `check_image_size` do.
    """
    paths = _stack_paths(path)
    images = StackImages.all_of([open_stack(x) for x in paths])
    unordered = _table(paths, options)
    if unordered is None:
        return Source(str(path), images, movies=lambda: _one_per_stack(str(path), images, None, options))
    table = match_rows(unordered, images)
    check_image_size(table, images, options)
    return Source(
        words=f"{path} with {table.source}",
        images=images,
        movies=lambda: _one_per_stack(str(path), images, table, options),
        pixel_sizes=relion_pixel_size(table),
        poses=lambda pixel_size: relion_poses(table, pixel_size),
        contrast_transfer=relion_ctf(table),
        dose=relion_dose(table),
        notes=relion_notes(table) | _passed_over(unordered, images),
    )


def _stack_paths(path: Path) -> list[Path]:
    pattern = str(path) if is_glob(path) else f"{glob.escape(str(path))}/*"
    # Path.glob would need the part without wildcards split off first.
    found = [Path(x) for x in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    stacks = [x for x in found if x.suffix.lower() in STACK_SUFFIXES and x.is_file()]
    if not stacks:
        raise UserError(f"{path} holds no image stacks ({', '.join(STACK_SUFFIXES)}); check the path.")
    return sorted(stacks, key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which numbers within names count as numbers."""
    pieces = re.split(r"([0-9]+)", str(path))
    return [(1, int(x), "") if i % 2 else (0, 0, x) for i, x in enumerate(pieces)]


def _table(paths: list[Path], options: ReadingOptions) -> Table | None:
    """The table with RELION's columns that belongs to the stacks."""
    if options.poses is not None and options.poses.suffix.lower() in TABLE_SUFFIXES:
        return read_table(options.poses)
    folders = {x.parent for x in paths}
    if len(folders) > 1:
        _refuse_several_folders(folders)
        return None
    beside = sorted(x for x in folders.pop().iterdir() if x.suffix.lower() in TABLE_SUFFIXES and x.is_file())
    tables = [x for x in beside if x.suffix.lower() == ".star" or _header_is_relion(x)]
    if len(tables) > 1:
        names = ", ".join(x.name for x in tables)
        raise UserError(
            f"{tables[0].parent} holds more than one table ({names}); say which with --pose-file."
        )
    return read_table(tables[0]) if tables else None


def _refuse_several_folders(folders: set[Path]) -> None:
    """Raise where stacks of several folders have tables beside them, which are not put together here."""
    found = sorted(x for folder in folders for x in folder.iterdir() if x.suffix.lower() == ".star")
    if found:
        raise UserError(
            f"The stacks are in {len(folders)} folders, with tables beside them such as {found[0]}: put what "
            "these say into one table and give it with --pose-file."
        )


def _header_is_relion(path: Path) -> bool:
    with path.open("rb") as file:
        return b"rln" in file.readline()


def _passed_over(table: Table, images: StackImages) -> dict[str, str]:
    """Says which stacks the table speaks of and the folder lacks: left out on purpose, or lost."""
    missing = stacks_passed_over(table, images)
    if not missing:
        return {}
    shown = ", ".join(missing[:NAMES_SHOWN]) + (", …" if len(missing) > NAMES_SHOWN else "")
    words = f"{len(missing)} that {table.source} has rows of and that are not here: {shown}"
    return {"stacks not here": words}


def _refuse_to_merge(table: Table, images: StackImages) -> None:
    """Raise where the table says that a stack holds several movies."""
    column = particle_column(table)
    if column is None:
        return
    ids = dict(zip(images.stack_of_row.tolist(), table.text(column), strict=True))
    for stack, name in zip(images.stack_of_row.tolist(), table.text(column), strict=True):
        if ids[stack] != name:
            raise UserError(
                f"{table.source} ({column}) divides {images.stacks[stack].path} into several movies, but in "
                f"a folder each stack is one; give {table.source} itself as the input."
            )


def _one_per_stack(
    source: str, images: StackImages, table: Table | None, options: ReadingOptions
) -> MovieAssignment:
    """One movie per stack, named after it; frame numbers and times from the table where it has them."""
    if table is None and (options.movie_column or options.frame_column):
        raise UserError(
            f"{source} has no table beside its stacks for --movie-column or --frame-column to read; give one "
            "with --pose-file, or leave them out."
        )
    if table is not None and options.movie_column:
        return movies_from_columns(table, options)
    if table is not None:
        _refuse_to_merge(table, images)
    columns = table or Table(source, {})
    frame_column = options.frame_column or FRAME_COLUMN
    has_frames = options.frame_column is not None or FRAME_COLUMN in columns
    has_times = TIME_COLUMN in columns and options.frame_interval is None
    names = _movie_names([stack.path for stack in images.stacks])
    return assign_movies(
        source,
        [names[i] for i in images.stack_of_row],
        frame=columns.whole_numbers(frame_column) if has_frames else images.slice_of_row,
        time_in_seconds=columns.numbers(TIME_COLUMN) if has_times else None,
        frame_interval_in_seconds=options.frame_interval,
        movie_words="one movie per stack",
        frame_words=f"column {frame_column}" if has_frames else "order in the stack",
        time_words=f"column {TIME_COLUMN}",
    )


def _movie_names(paths: list[Path]) -> list[str]:
    """Stems where they differ, else paths from the folder common to all, without and then with suffixes."""
    common = Path(os.path.commonpath([path.parent for path in paths]))
    relative = [path.relative_to(common) for path in paths]
    for names in ([x.stem for x in paths], [x.with_suffix("").as_posix() for x in relative]):
        if max(Counter(names).values()) == 1:
            return names
    return [x.as_posix() for x in relative]

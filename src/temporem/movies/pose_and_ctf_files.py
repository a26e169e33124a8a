"""Poses and CTF from files beside the images: --pose-file and --ctf, for any format."""

from dataclasses import replace
from pathlib import Path

from temporem.errors import UserError
from temporem.movies.cryodrgn import read_cryodrgn_ctf, read_cryodrgn_poses
from temporem.movies.matching import match_rows
from temporem.movies.reading_options import ReadingOptions
from temporem.movies.relion import relion_ctf, relion_pixel_size, relion_poses
from temporem.movies.source import Poses, Source
from temporem.movies.star import TABLE_SUFFIXES, read_table
from temporem.movies.table import Table

__all__ = ["with_given_files"]

PICKLE_SUFFIXES = (".pkl", ".pickle")


def with_given_files(source: Source, options: ReadingOptions) -> Source:
    """Replace a source's poses and CTF by those of the files given.

    A .star or .csv given for poses gives the CTF too, where the source has none and no CTF file is given.

    Raises UserError for a file of another kind, or one that lacks what it was given for.
    """
    if options.poses is not None:
        source = _with_poses(source, options.poses)
    if options.ctf is not None:
        source = _with_ctf(source, options.ctf)
    return source


def _with_poses(source: Source, path: Path) -> Source:
    if _is_pickle(path):
        # Read before the pixel size is settled, so that a wrong file is the first thing said of it.
        count, box = len(source.images), source.images.box_size
        in_boxes = read_cryodrgn_poses(path, count, box, pixel_size_in_angstroms=1.0)
        return replace(
            source,
            poses=lambda pixel_size: replace(
                in_boxes, translation_in_angstroms=in_boxes.translation_in_angstroms * pixel_size
            ),
        )
    table = match_rows(read_table(path), source.images)

    def poses(pixel_size: float) -> Poses:
        found = relion_poses(table, pixel_size)
        if found is None:
            raise UserError(
                f"{path} has no poses (rlnAngleRot, rlnAngleTilt, rlnAnglePsi); give another file to"
                " --pose-file."
            )
        return found

    posed = replace(source, poses=poses, pixel_sizes=_pixel_sizes(source, table))
    found = relion_ctf(table)
    if source.contrast_transfer is None and found is not None:
        posed = replace(posed, contrast_transfer=found, contrast_transfer_words=str(path))
    return posed


def _with_ctf(source: Source, path: Path) -> Source:
    if _is_pickle(path):
        ctf, pixel_size = read_cryodrgn_ctf(path, len(source.images), source.images.box_size)
        pixel_sizes = [*source.pixel_sizes, (str(path), pixel_size)]
        return replace(
            source,
            contrast_transfer=ctf,
            contrast_transfer_words=f"{path} (cryoDRGN)",
            pixel_sizes=pixel_sizes,
        )
    table = match_rows(read_table(path), source.images)
    found = relion_ctf(table)
    if found is None:
        raise UserError(f"{path} has no CTF (rlnDefocusU and the others); give another file to --ctf.")
    return replace(
        source,
        contrast_transfer=found,
        contrast_transfer_words=str(path),
        pixel_sizes=_pixel_sizes(source, table),
    )


def _pixel_sizes(source: Source, table: Table) -> list[tuple[str, float]]:
    return [*source.pixel_sizes, *relion_pixel_size(table)]


def _is_pickle(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (*PICKLE_SUFFIXES, *TABLE_SUFFIXES):
        raise UserError(f"{path} is of no kind that holds poses or CTF; give a .pkl, .star or .csv.")
    return suffix in PICKLE_SUFFIXES

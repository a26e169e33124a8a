"""What a run found, in files that other programs open: volumes as series, selected frames with latents."""

from temporem.reconstruction.export.particles import export_particles
from temporem.reconstruction.export.rows import choose_rows, movie_rows, read_index_file
from temporem.reconstruction.export.selection import select_rows
from temporem.reconstruction.export.volume_series import (
    SCRIPT,
    VolumeFormat,
    export_volumes,
    write_volume_series,
)

__all__ = [
    "SCRIPT",
    "VolumeFormat",
    "choose_rows",
    "export_particles",
    "export_volumes",
    "movie_rows",
    "read_index_file",
    "select_rows",
    "write_volume_series",
]

"""Volumes as MRC files."""

from collections.abc import Iterable
from pathlib import Path

import mrcfile
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError
from temporem.files import replacing, reserve

__all__ = ["read_volume", "write_volume", "write_volume_stack"]


def write_volume(path: Path, volume: Float[Tensor, "n n n"], pixel_size_in_angstroms: float) -> None:
    """Write a volume [z, y, x] as float32 MRC2014, atomically.

    The header's origin is 0 Å at the first voxel, as in the maps of RELION, cryoSPARC and cryoDRGN, so that
    maps made from the same poses lie on top of one another; the particle's centre is the voxel n // 2.
    Source: MRC2014 format, www.ccpem.ac.uk/mrc_format/mrc2014.php.
    """
    with replacing(path) as temporary, mrcfile.new(temporary, overwrite=True) as file:
        file.set_data(volume.detach().cpu().numpy().astype(np.float32))
        file.set_volume()
        file.voxel_size = pixel_size_in_angstroms
        file.header.origin = (0.0, 0.0, 0.0)


def write_volume_stack(
    path: Path, count: int, volumes: Iterable[Float[Tensor, "n n n"]], pixel_size_in_angstroms: float
) -> None:
    """Write `count` volumes as one float32 MRC2014 volume stack [t, z, y, x], atomically, one at a time.

    Space group 401 and mz = n mark the file as a stack of volumes.
    """
    with replacing(path) as temporary:
        file = None
        try:
            for index, volume in enumerate(volumes):
                if file is None:
                    shape = (count, *volume.shape)
                    file = mrcfile.new_mmap(temporary, shape=shape, mrc_mode=2, overwrite=True)
                    with temporary.open("r+b") as whole:
                        reserve(whole.fileno(), temporary.stat().st_size, path)
                file.data[index] = volume.detach().cpu().numpy().astype(np.float32)
            if file is not None:
                file.voxel_size = pixel_size_in_angstroms
                file.header.origin = (0.0, 0.0, 0.0)
                file.update_header_stats()
        finally:
            if file is not None:
                file.close()


def read_volume(path: Path) -> Float[Tensor, "n n n"]:
    """Volume [z, y, x] of an MRC file; raises UserError where there is none."""
    try:
        with mrcfile.open(path) as file:
            volume = np.array(file.data, dtype=np.float32)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an MRC volume ({error}): make the run anew.") from error
    if volume.ndim != 3 or len(set(volume.shape)) != 1:
        raise UserError(f"{path} is not a cube of voxels but {volume.shape}: make the run anew.")
    return torch.from_numpy(volume)

"""Volumes over time as OME-Zarr, [t, z, y, x], one chunk a volume (extra "zarr").

Source: OME-NGFF 0.4, ngff.openmicroscopy.org/0.4, the version that most programs read.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from torch import Tensor

from temporem.errors import UserError

__all__ = ["write_ome_zarr"]


def write_ome_zarr(
    path: Path,
    count: int,
    volumes: Iterable[Float[Tensor, "n n n"]],
    pixel_size_in_angstroms: float,
    time: npt.NDArray[np.float64],
    time_unit: str,
    notes: Mapping[str, Any],
) -> None:
    """Write `count` volumes [z, y, x] to a new folder `path`, which appears only when it is whole.

    The time axis has the spacing of `time` where that is even, else 1; all times and `notes` stand in the
    group's attribute `temporem`. Raises UserError where the package zarr is missing.
    """
    try:
        import zarr
    except ImportError:
        raise UserError(
            "OME-Zarr needs the package zarr, which is not installed: pip install 'temporem[zarr]'."
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        group = zarr.open_group(store=str(temporary), mode="w", zarr_format=2)
        array = None
        for index, volume in enumerate(volumes):
            if array is None:
                shape = tuple(volume.shape)
                array = group.create_array(
                    "0",
                    shape=(count, *shape),
                    chunks=(1, *shape),
                    dtype="float32",
                    chunk_key_encoding={"name": "v2", "separator": "/"},
                )
            array[index] = volume.numpy()
        spacing = _even_spacing(time)
        scale = [1.0 if spacing is None else spacing, *[pixel_size_in_angstroms] * 3]
        group.attrs["multiscales"] = [_multiscale(path.name.split(".")[0], scale, time_unit)]
        group.attrs["temporem"] = {"times": time.tolist(), "time_unit": time_unit, **notes}
        temporary.chmod(0o755)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _multiscale(name: str, scale: list[float], time_unit: str) -> dict[str, Any]:
    time_axis = {"name": "t", "type": "time"} | ({"unit": "second"} if time_unit == "seconds" else {})
    space = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    transform = {"type": "scale", "scale": scale}
    return {
        "version": "0.4",
        "name": name,
        "axes": [time_axis, *space],
        "datasets": [{"path": "0", "coordinateTransformations": [transform]}],
    }


def _even_spacing(time: npt.NDArray[np.float64]) -> float | None:
    steps = np.diff(time)
    even = len(steps) > 0 and steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6)
    return float(steps[0]) if even else None

"""A molecule in motion as GIF or MP4: the surface of every volume, seen from one side at one level."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from temporem.errors import UserError
from temporem.files import replacing
from temporem.progress import progress
from temporem.reconstruction.contour import contour_level
from temporem.reconstruction.export import choose_rows
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run
from temporem.report.run_facts import evenly_spaced
from temporem.report.scene import Scene, scene_of

__all__ = ["write_film"]

SIZE = 400
FRAMES_PER_SECOND = 8
SURFACE = (0.90, 0.62, 0.20)
FRAMES_TO_FIND_THE_SCENE = 8

Picture = npt.NDArray[np.uint8]


def write_film(run: Run, path: Path, movie: str | None = None, index_file: Path | None = None) -> Path:
    """Write the moving surface to `path`, a .gif or an .mp4, forwards and back again, and return it.

    The volumes are a movie's in order of time, those of an index file, or all; the level is the mean of
    Otsu's thresholds inside the solvent mask.

    Raises UserError for choices the run does not have, where `path` exists, and for .mp4 without the package
    imageio-ffmpeg.
    """
    if path.exists():
        raise UserError(f"{path} is already there: choose another folder.")
    if path.suffix == ".mp4":
        _ffmpeg()
    rows = choose_rows(run, movie, index_file)
    scene, level = find_scene(run, rows)
    pictures = []
    with progress("Drawing surfaces", len(rows)) as advance:
        for _, volume in run.volumes(rows):
            pictures.append(on_white(scene.draw(volume, level, SURFACE, SIZE)))
            advance(1, "")
    with replacing(path) as temporary:
        write = write_mp4 if path.suffix == ".mp4" else write_gif
        write(temporary, pictures + pictures[-2:0:-1])
    return path


def find_scene(run: Run, rows: list[int]) -> tuple[Scene, float]:
    """The side and level for these images, from some of them evenly spaced."""
    some = [rows[i] for i in evenly_spaced(len(rows), FRAMES_TO_FIND_THE_SCENE)]
    volumes = [volume for _, volume in run.volumes(some)]
    latents = run.latents().set_index("image")
    z = torch.from_numpy(latents.loc[some, latent_columns(latents)].to_numpy(np.float32))
    first, last = divmod(int(torch.cdist(z, z).argmax()), len(z))
    mask = run.mask()
    level = sum(contour_level(x, mask) for x in volumes) / len(volumes)
    return scene_of(volumes[first], volumes[last], [x - level for x in volumes]), level


def on_white(picture: Picture) -> Picture:
    """RGB of an RGBA picture on white paper."""
    cover = picture[..., 3:].astype(np.float32) / 255
    return (picture[..., :3] * cover + 255 * (1 - cover)).round().astype(np.uint8)


def write_gif(path: Path, pictures: list[Picture]) -> None:
    """Write pictures (rows, columns, RGB) as an endless GIF."""
    # One palette for all, or the surface flickers.
    strip = Image.fromarray(np.concatenate(pictures[:: max(1, len(pictures) // 8)]))
    palette = strip.quantize(255)
    first, *rest = [Image.fromarray(x).quantize(palette=palette, dither=Image.Dither.NONE) for x in pictures]
    first.save(path, save_all=True, append_images=rest, duration=1000 // FRAMES_PER_SECOND, loop=0)


def write_mp4(path: Path, pictures: list[Picture]) -> None:
    """Write pictures (rows, columns, RGB) of even size as H.264, which every player knows (extra "video")."""
    height, width = pictures[0].shape[:2]
    stream = _ffmpeg().write_frames(
        str(path), (width, height), fps=FRAMES_PER_SECOND, quality=8, ffmpeg_log_level="error"
    )
    stream.send(None)
    for picture in pictures:
        stream.send(np.ascontiguousarray(picture))
    stream.close()


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise UserError(
            "MP4 needs the package imageio-ffmpeg, which is not installed: pip install 'temporem[video]', or "
            "ask for a gif."
        ) from None
    return imageio_ffmpeg

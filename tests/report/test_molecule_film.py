import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from temporem.errors import UserError
from temporem.reconstruction.run import Run
from temporem.report import molecule_film
from temporem.report.molecule_film import write_film


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecule_film, "SIZE", 96)


def test_a_gif_plays_the_movie_there_and_back(run: Run, tmp_path: Path) -> None:
    path = write_film(run, tmp_path / "film.gif", movie="second & last")
    with Image.open(path) as film:
        # Nine volumes, and the seven between its ends on the way back.
        assert film.n_frames == 16
        assert film.info["loop"] == 0
        pictures = []
        for index in range(16):
            film.seek(index)
            pictures.append(np.asarray(film.convert("RGB")).astype(int))
    difference = [np.abs(x - pictures[0]).mean() for x in pictures]
    # The ball moves away with time, then comes back the way it went.
    assert np.all(np.diff(difference[:5]) > 0)
    assert difference[9:] == pytest.approx(difference[7:0:-1])


def test_a_film_never_replaces_another(run: Run, tmp_path: Path) -> None:
    (tmp_path / "film.gif").touch()
    with pytest.raises(UserError, match="already there"):
        write_film(run, tmp_path / "film.gif")


def test_an_mp4_has_as_many_frames(run: Run, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = write_film(run, tmp_path / "film.mp4", movie="first")
    assert ffmpeg.count_frames_and_secs(str(path))[0] == 8


def test_mp4_without_its_package_is_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match="imageio-ffmpeg"):
        write_film(run, tmp_path / "film.mp4", movie="first")
    assert not (tmp_path / "film.mp4").exists()

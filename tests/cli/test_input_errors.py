"""Every mistake in the input ends in one sentence that says what and where, and exit code 2."""

import re
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from temporem.cli.main import main

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail, and return the one sentence it ends in."""

    def run(*words: object) -> str:
        assert main([str(x) for x in words]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        # A progress bar may stand above; the last line is the sentence, and no traceback is among them.
        assert said[-1].startswith("temporem: ")
        assert "Traceback" not in "".join(said)
        assert sum(x.startswith("temporem: ") for x in said) == 1
        return said[-1]

    return run


def edit(star: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, star.read_text(), flags=re.MULTILINE)
    assert count
    star.write_text(text)


def drop_column(star: Path, name: str) -> None:
    """Rename a column to one nobody knows, which is as good as removing it."""
    edit(star, rf"^_{name}\b", f"_{name}Unknown")


def rewrite(stack: Path, images: np.ndarray) -> None:
    with mrcfile.new(stack, overwrite=True) as file:
        file.set_data(images)
        file.voxel_size = 3.0


def pixels(star: Path) -> np.ndarray:
    with mrcfile.open(star.with_suffix(".mrcs")) as file:
        return np.array(file.data)


def test_a_good_file_is_described(star: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(star)]) == 0
    said = capsys.readouterr().out
    assert "rlnTomoParticleName" in said
    assert re.search(r"movies +3\b", said)
    assert re.search(r"frames +12\b", said)


def test_missing_file(fails: Fails, tmp_path: Path) -> None:
    assert "nowhere.star" in fails("info", tmp_path / "nowhere.star")


def test_wrong_magic(fails: Fails, star: Path) -> None:
    star.with_suffix(".mrcs").write_bytes(b"GIF89a" + bytes(4000))
    assert "movies.mrcs" in fails("info", star)


def test_star_without_images(fails: Fails, star: Path) -> None:
    drop_column(star, "rlnImageName")
    assert "rlnImageName" in fails("info", star)


def test_star_without_a_movie_column(fails: Fails, star: Path) -> None:
    drop_column(star, "rlnTomoParticleName")
    assert "--movie-column" in fails("info", star)


def test_movie_column_that_is_not_there(fails: Fails, star: Path) -> None:
    assert "rlnNoSuch" in fails("info", star, "--movie-column", "rlnNoSuch")


def test_a_movie_column_that_merges_particles(fails: Fails, star: Path) -> None:
    edit(star, r"\b[bc]\b", "a")
    assert "merges" in fails("info", star)


def test_fewer_images_than_rows(fails: Fails, star: Path) -> None:
    rewrite(star.with_suffix(".mrcs"), pixels(star)[:7])
    assert "7" in fails("info", star)


def test_images_not_square(fails: Fails, star: Path) -> None:
    rewrite(star.with_suffix(".mrcs"), np.zeros((12, 16, 18), np.float32))
    assert "16" in fails("info", star)


def test_odd_box(fails: Fails, star: Path) -> None:
    rewrite(star.with_suffix(".mrcs"), np.zeros((12, 15, 15), np.float32))
    assert "15" in fails("info", star)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_numbers(fails: Fails, star: Path, value: float) -> None:
    images = pixels(star)
    images[5, 3, 3] = value
    with mrcfile.open(star.with_suffix(".mrcs"), mode="r+") as file:
        file.data[:] = images
    assert re.search(r"\b5\b|\b6\b", fails("info", star))


def test_a_constant_image(fails: Fails, star: Path) -> None:
    images = pixels(star)
    images[5] = 1
    rewrite(star.with_suffix(".mrcs"), images)
    assert re.search(r"\b5\b|\b6\b", fails("info", star))


def test_pixel_size_absent(fails: Fails, star: Path) -> None:
    drop_column(star, "rlnImagePixelSize")
    with mrcfile.open(star.with_suffix(".mrcs"), mode="r+") as file:
        file.voxel_size = 0
    assert "--pixel-size" in fails("info", star)


def test_pixel_size_contradicting(fails: Fails, star: Path) -> None:
    with mrcfile.open(star.with_suffix(".mrcs"), mode="r+") as file:
        file.voxel_size = 1.5
    said = fails("info", star)
    assert "1.5" in said
    assert "--pixel-size" in said
    assert main(["info", str(star), "--pixel-size", "1.5"]) == 0


@pytest.mark.parametrize(
    "words", [("--pixel-size", "-3"), ("--box", "17"), ("--particle-radius-in-angstroms", "0")]
)
def test_numbers_out_of_range(fails: Fails, star: Path, words: tuple[str, str]) -> None:
    fails("info", star, *words)


def test_poses_missing(fails: Fails, star: Path, tmp_path: Path) -> None:
    drop_column(star, "rlnAngleTilt")
    assert "rlnAngleTilt" in fails("reconstruct", star, "-o", tmp_path / "run")


def test_a_movie_of_one_frame(fails: Fails, star: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"image": range(12), "movie": ["a"] * 6 + ["b"] * 5 + ["c"], "frame": range(12)})
    table.to_csv(tmp_path / "table.csv", index=False)
    assert "'c'" in fails(
        "reconstruct", star, "-o", tmp_path / "run", "--movie-table", tmp_path / "table.csv"
    )


def test_latent_dimension_zero(fails: Fails, star: Path, tmp_path: Path) -> None:
    assert "latent" in fails("reconstruct", star, "-o", tmp_path / "run", "--latent-dim", "0")
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_holds_a_run(fails: Fails, star: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "already holds a run" in fails("reconstruct", star, "-o", tmp_path / "run")
    assert (tmp_path / "run" / "config.json").read_text() == "{}"


def test_resuming_what_is_no_run(fails: Fails, star: Path, tmp_path: Path) -> None:
    assert "run" in fails("reconstruct", star, "-o", tmp_path / "run", "--resume")


def test_a_device_that_is_not_there(fails: Fails, star: Path, tmp_path: Path) -> None:
    assert "cuda:97" in fails("reconstruct", star, "-o", tmp_path / "run", "--device", "cuda:97")


def test_no_run_and_no_truth(fails: Fails, tmp_path: Path) -> None:
    assert "config.json" in fails("volumes", tmp_path, "-o", tmp_path / "out")
    assert "config.json" in fails("evaluate", tmp_path, "--truth", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert "truth" in fails("evaluate", tmp_path, "--truth", tmp_path)


@pytest.mark.parametrize("verb", ["volumes", "export", "kinetics", "evaluate"])
def test_a_file_where_the_output_folder_should_be(fails: Fails, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").touch()
    truth = ("--truth", tmp_path) if verb == "evaluate" else ()
    assert "is a file, not a folder" in fails(verb, tmp_path, "-o", tmp_path / "file", *truth)


def test_a_damaged_run(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert "damaged" in fails("volumes", tmp_path, "-o", tmp_path / "out")


def test_simulating_into_a_folder_in_use(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    assert "already exists" in fails("simulate", "7bcq", "-o", tmp_path)
    assert "already exists" in fails("demo", "-o", tmp_path)
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_simulating_with_numbers_that_make_no_movies(fails: Fails, tmp_path: Path) -> None:
    assert "even" in fails("simulate", "7bcq", "-o", tmp_path / "x", "--box-size", "33")
    assert not (tmp_path / "x").exists()

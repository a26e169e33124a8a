import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from run_folders import BOX, make_run, movies

from temporem.errors import UserError
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading_options import ReadingOptions
from temporem.reconstruction.latents_file import read_latents, write_latents
from temporem.reconstruction.run import Run

CONFIG = {"pixel_size_in_angstroms": 3.0, "image_scale": 2.0}


def test_a_run_opens_with_the_configuration_it_was_made_with(tmp_path: Path) -> None:
    @dataclass
    class Options:
        path: Path
        sizes: tuple[int, ...]

    run = Run.create(tmp_path / "run", {"options": Options(Path("a") / "b", (1, 2)), "seed": 0})
    run.update_config(image_scale=1.5)
    assert Run.open(tmp_path / "run").config == {
        "options": {"path": "a/b", "sizes": [1, 2]},
        "seed": 0,
        "image_scale": 1.5,
    }


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    assert Run.create(tmp_path, CONFIG).pixel_size_in_angstroms == 3


def test_a_folder_with_a_run_is_left_alone(tmp_path: Path) -> None:
    Run.create(tmp_path / "run", CONFIG)
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(UserError, match="already holds a run"):
        Run.create(tmp_path / "run", {})
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(UserError, match="not an empty folder"):
            Run.create(path, CONFIG)
    with pytest.raises(UserError, match=r"thesis.tex is a file, not a folder"):
        Run.check_free(tmp_path / "thesis.tex" / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", '{"a": 1'])
def test_a_damaged_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        Run.open(tmp_path)


def test_what_is_not_a_run_is_said_to_be_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="is not a run"):
            Run.open(path)


def test_a_missing_entry_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'image_scale'"):
        Run.create(tmp_path / "run", {}).configured("image_scale")


def test_a_run_finds_its_movies_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = ReadingOptions(movie_table=tmp_path / "movies.csv", frame_interval=0.5)
    preprocessing = PreprocessingOptions(box=32, sign="dark")
    run = Run.create(
        tmp_path / "run", {"input": tmp_path / "a.star", "reading": reading, "preprocessing": preprocessing}
    )
    asked = []
    some = movies({"a": 2})
    monkeypatch.setattr(
        "temporem.reconstruction.run.read_movies", lambda path, options: asked.append((path, options)) or some
    )
    assert run.movies() == (some, preprocessing)
    assert asked == [(tmp_path / "a.star", reading)]


def test_a_configuration_of_another_version_is_said_to_be_so(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {"input": "a", "reading": {"colour": 1}, "preprocessing": {}})
    with pytest.raises(UserError, match="another version"):
        run.movies()


def test_metrics_are_kept_in_order_and_numbers_that_are_none_become_null(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    assert run.metrics() == []
    run.append_metrics({"step": 1, "loss": 0.1})
    run.append_metrics({"step": 2, "loss": float("nan")})
    assert run.metrics() == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": None}]


def test_a_record_that_a_crash_cut_short_does_not_spoil_the_rest(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", CONFIG)
    for step in range(3):
        run.append_metrics({"step": step})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    assert [record["step"] for record in run.metrics()] == [0, 1, 2]
    run.keep_metrics(2)
    run.append_metrics({"step": 2, "again": True})
    assert [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()] == [
        {"step": 0},
        {"step": 1},
        {"step": 2, "again": True},
    ]


@settings(max_examples=25)
@given(arrays(np.float32, (5, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_latents_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "latents.csv"
    some = movies({"NA": 2, "1.0, é": 3})
    mean = torch.from_numpy(values)
    write_latents(path, some, mean, mean.abs())
    table = read_latents(path)
    assert table.columns.tolist() == [
        "image",
        "movie",
        "frame",
        "time",
        "z1",
        "z2",
        "z3",
        "sd1",
        "sd2",
        "sd3",
    ]
    np.testing.assert_array_equal(table[["z1", "z2", "z3"]].to_numpy(), values)
    np.testing.assert_array_equal(table[["sd1", "sd2", "sd3"]].to_numpy(), np.abs(values))
    assert table["movie"].tolist() == ["NA"] * 2 + ["1.0, é"] * 3
    np.testing.assert_array_equal(table["time"], some.time)
    np.testing.assert_array_equal(table["image"], np.arange(5))


@pytest.mark.parametrize("text", ["", "image,movie\n0,a\n", "image,movie,frame,time,z1,sd1\n0,a,0,0,one,1\n"])
def test_damaged_latents_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "latents.csv").write_text(text)
    with pytest.raises(UserError, match=r"latents\.csv cannot be read"):
        read_latents(tmp_path / "latents.csv")


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"a": 2})
    (run.path / "mask.mrc").write_bytes(b"no map" * 400)
    with pytest.raises(UserError, match=r"mask\.mrc cannot be read"):
        run.mask()


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"a": 2})
    with pytest.raises(UserError, match="cuda:97 is not there"):
        run.generator("cuda:97")


@pytest.mark.usefixtures("known_generator")
def test_volumes_are_masked_and_in_gray_values_and_in_the_order_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"a": 4, "b": 6})
    rows = [7, 0, 0, 9, 3, 7]
    found = list(run.volumes(rows))
    assert [row for row, _ in found] == rows
    for row, volume in found:
        expected = torch.full((BOX, BOX, BOX), 10.0 * (row + 1))
        expected[0, 0, 0] = 0
        torch.testing.assert_close(volume, expected, atol=0, rtol=0)
        assert volume.dtype == torch.float32


@pytest.mark.parametrize("row", [-1, 10])
def test_rows_that_a_run_does_not_have_are_named_at_once(tmp_path: Path, row: int) -> None:
    run = make_run(tmp_path / "run", {"a": 4, "b": 6})
    with pytest.raises(UserError, match=f"no image {row}: its rows go from 0 to 9"):
        run.volumes([0, row])


def test_latents_that_were_cut_short_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"a": 3, "b": 2})
    path = run.path / "latents.csv"
    whole = path.read_text()
    path.write_text(whole[:-2])
    with pytest.raises(UserError, match="cut short"):
        run.latents()
    run.update_config(frames=5)
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="4 rows but the run 5 frames"):
        run.latents()

"""What a reader sees first, and whether it is what the run holds."""

import base64
import json
import re
import shutil
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from temporem.errors import UserError
from temporem.evaluation.null import NullVerdict
from temporem.files import write_json
from temporem.movies.images import StackImages, open_stack
from temporem.movies.movie_set import MovieSet
from temporem.movies.writing import write_movies_star, write_mrcs
from temporem.physics.projection import project
from temporem.physics.rotations import random_rotations
from temporem.reconstruction.run import Run
from temporem.report.moving_molecule import moving_molecule_section
from temporem.report.predicted_images import low_passed, predicted_images
from temporem.report.report import write_report
from temporem.report.shown_movie import shown_movie
from temporem.report.verdict import verdict


def movies_of(path: Path, images: np.ndarray) -> MovieSet:
    """Movies of two frames in random poses, written as STAR."""
    write_mrcs(path / "images.mrcs", images, 3.0)
    count = len(images)
    movies = MovieSet(
        images=StackImages.all_of([open_stack(path / "images.mrcs")]),
        pixel_size_in_angstroms=3.0,
        movie_ids=tuple(f"m{i}" for i in range(count // 2)),
        movie=np.arange(count) // 2,
        frame=np.arange(count) % 2,
        time=np.arange(count) % 2 * 1.0,
        rotation=random_rotations(count, torch.Generator().manual_seed(0)).numpy(),
        translation_in_angstroms=np.random.default_rng(0).normal(size=(count, 2)) * 4,
    )
    write_movies_star(path / "movies.star", movies, [f"{i + 1:06d}@images.mrcs" for i in range(count)])
    return movies


def test_predicted_images_are_the_projections_of_the_volumes(tmp_path: Path) -> None:
    n = 32
    movies = movies_of(tmp_path, np.zeros((4, n, n), np.float32))
    axis = torch.arange(n) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    spots = [((3, -2, 4), 3.0), ((-5, 1, 0), 2.5), ((2, 5, -3), 3.5)]
    volume = sum(
        torch.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / (2 * s**2)) for (a, b, c), s in spots
    )
    rows = np.array([0, 2, 3])
    found = predicted_images(volume.expand(3, n, n, n), movies, rows)
    # The independent way: resampling in real space.
    shifts = torch.tensor(movies.translation_in_angstroms[rows] / 3.0)
    true = project(volume, torch.from_numpy(movies.rotation[rows]).float(), shifts.float())
    # Trilinear slices of a grid padded twice are this exact; a pose or shift gone wrong costs tenfold.
    assert float((found - true).norm() / true.norm()) < 0.04


def test_a_low_pass_keeps_the_mean_and_drops_what_is_fine() -> None:
    fine = torch.ones(1, 32, 32)
    fine[:, ::2] -= 2.0
    found = low_passed(fine + 5, 3.0)
    torch.testing.assert_close(found, torch.full_like(found, 5.0), atol=1e-3, rtol=0)


def test_the_page_holds_the_volumes_it_plays(run: Run) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="molecule-data">(.*?)</script>', text)[1])
    shown = shown_movie(run, run.latents())
    assert data["labels"] == [f"frame {i}" for i in range(9)]
    assert "all 9 frames" in text
    n = data["box"]
    for packed, volume in zip(data["volumes"], shown.volumes, strict=True):
        found = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(n, n, n)
        middle = slice(len(volume) // 2 - n // 2, len(volume) // 2 + n // 2)
        cropped = volume[middle, middle, middle].numpy()
        # What is above the level in the page is above it in the volume, but for rounding.
        above, true = found / 255 > data["level"], cropped > shown.level
        assert (above != true).mean() < 0.002
        assert true.any()


def test_inputs_stand_beside_predictions_where_the_input_is_there(run: Run, tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(22, 24, 24)).astype(np.float32)
    movies_of(tmp_path, images)
    without = write_report(run).read_text(encoding="utf-8")
    run.update_config(input=tmp_path / "movies.star", reading={}, preprocessing={})
    with_input = write_report(run).read_text(encoding="utf-8")
    assert "What went in" in with_input
    assert "What went in" not in without


def test_directions_of_view_outlive_the_images(run: Run, tmp_path: Path) -> None:
    movies_of(tmp_path, np.zeros((22, 24, 24), np.float32))
    shutil.copy(tmp_path / "movies.star", run.poses_path)
    (tmp_path / "images.mrcs").unlink()
    run.update_config(input=tmp_path / "movies.star", reading={}, preprocessing={})
    page = write_report(run).read_text(encoding="utf-8")
    assert "Directions of view" in page
    assert "What went in" not in page


def test_a_long_movie_is_told_to_be_shown_in_part_and_when_its_frames_are(run: Run) -> None:
    count = 30
    frame = np.arange(count)
    columns = {"image": frame, "movie": "long", "frame": frame, "time": frame / 8}
    latents = pd.DataFrame(columns | {"z1": frame / count, "z2": 0.0, "sd1": 0.1, "sd2": 0.1})
    latents.to_csv(run.path / "latents.csv", index=False)
    run.update_config(time_unit="seconds")
    shown = shown_movie(run, run.latents())
    page = moving_molecule_section(shown)
    assert f"{len(shown.frames)} of its 30 frames" in page
    labels = json.loads(re.search(r'id="molecule-data">(.*?)</script>', page)[1])["labels"]
    assert len(labels) == len(shown.frames) < count
    assert labels[-1] == "frame 29, 3.625 seconds"


def pretend_summary(**methods: float) -> dict[str, Any]:
    resolution = {
        name: {"moving": {"resolution_in_angstroms": {"mean_over_frames": x}}} for name, x in methods.items()
    }
    return {"masks": {"whole": None, "moving": None}, "methods": resolution}


def score(nats: float) -> dict[str, float]:
    return {"nats_per_frame": nats, "standard_error": 1.0, "frames": 40, "movies": 4}


def held_out() -> dict[str, Any]:
    facts = {
        "motion_found": True,
        "motion": "The molecule moves.",
        "time": "Time helps.",
        "best_latent_dim": 2,
    }
    return {"held_out": facts | {x: {"2": score(5.0)} for x in ("by_latent_dim", "gain_of_time")}}


def test_the_verdict_comes_from_the_strongest_evidence(tmp_path: Path) -> None:
    assert "not measured yet" in verdict({}, tmp_path)[0]
    assert verdict(held_out(), tmp_path) == [
        "Motion found, in 2 dimensions; time helps.",
        "The molecule moves.",
        "Time helps.",
    ]
    (tmp_path / "evaluation.json").write_text(json.dumps(pretend_summary(run=6.24, consensus=13.0)))
    assert verdict(held_out(), tmp_path) == [
        "Against the truth, a frame's volume reaches 6.2 Å where the molecule moves, and all frames averaged"
        " 13.0 Å (FSC 0.5)."
    ]


@pytest.mark.parametrize(
    ("of_volumes", "of_order", "of_time", "headline"),
    [
        (5.0, True, 0.1, "Motion found, in 2 dimensions; time does not help."),
        (5.0, False, 5.0, "No motion found, but states that differ, in 2 dimensions; time helps."),
        (0.1, False, 5.0, "No motion found: one volume does as well as volumes that change."),
    ],
)
def test_the_headline_is_what_was_found(
    tmp_path: Path, of_volumes: float, of_order: bool, of_time: float, headline: str
) -> None:
    facts = {"held_out": held_out()["held_out"] | {"motion_found": of_order}}
    facts["held_out"]["by_latent_dim"] = {"2": score(of_volumes)}
    facts["held_out"]["gain_of_time"] = {"2": score(of_time)}
    assert verdict(facts, tmp_path)[0] == headline


@pytest.mark.parametrize(("gain", "time"), [(3.0, "time mattered"), (0.5, "did not matter beyond doubt")])
def test_the_null_says_whether_time_mattered_on_the_first_screen(run: Run, gain: float, time: str) -> None:
    run.update_config(**held_out())
    write_json(run.path / "null.json", asdict(NullVerdict("null", 2, gain, 1.0)) | {"sentence": ""})
    first_screen = write_report(run).read_text(encoding="utf-8").split("<section>")[0]
    headline = re.search("<strong>(.*?)</strong>", first_screen)[1]
    assert headline.startswith("Motion found, in 2 dimensions; ")
    assert headline.count(".") == 1
    assert time in headline
    assert f"{gain:g} ± 1 nats a frame worse" in first_screen


def test_a_null_says_first_that_it_is_one(tmp_path: Path) -> None:
    told = verdict(held_out() | {"reading": {"null": "shuffle"}}, tmp_path)
    assert told[0].startswith("This run is a null")
    assert "The molecule moves." in told[1:]


def test_at_nyquist_the_verdict_tells_the_difference_that_is_left(tmp_path: Path) -> None:
    summary = pretend_summary(run=6.0, consensus=6.1) | {"nyquist_in_angstroms": 6.0}
    for name, psnr in (("run", 43.3), ("consensus", 36.8)):
        summary["methods"][name]["psnr_in_decibels"] = psnr
    (tmp_path / "evaluation.json").write_text(json.dumps(summary))
    _, told = verdict({}, tmp_path)
    assert "no more than 6.0 Å (Nyquist); the difference is in the PSNR, 43.3 dB against 36.8 dB." in told


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_evaluation_is_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(UserError, match="run temporem evaluate again"):
        verdict({}, tmp_path)

"""Poses that were searched for outlive what comes after the search."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from blob_movies import swinging, write_movies

from temporem.fitting import reconstruct as reconstructing
from temporem.fitting.options import FittingOptions
from temporem.fitting.reconstruct import reconstruct
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreprocessingOptions
from temporem.movies.reading import ReadingOptions
from temporem.reconstruction.run import Run

OPTIONS = FittingOptions(method="linear", poses="refine", latent_dim=1, device="cpu")


def moved(movies: MovieSet, *_: object) -> tuple[MovieSet, dict[str, Any]]:
    assert movies.translation_in_angstroms is not None
    return replace(movies, translation_in_angstroms=movies.translation_in_angstroms + 1), {"kind": "refine"}


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_poses_found_before_ctrl_c_are_not_searched_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    star = write_movies(tmp_path / "movies", swinging(4, 6), snr=2.0)

    def go(resume: bool) -> Run:
        return reconstruct(star, tmp_path / "run", ReadingOptions(), PreprocessingOptions(), OPTIONS, resume)

    with monkeypatch.context() as patch:
        patch.setattr(reconstructing, "settle_poses", moved)
        patch.setattr(reconstructing, "find_consensus", stop)
        with pytest.raises(KeyboardInterrupt):
            go(resume=False)
    monkeypatch.setattr(reconstructing, "settle_poses", stop)
    run = go(resume=True)
    given, found = Run.movies(run)[0], reconstructing.read_movies(star, ReadingOptions())
    assert given.translation_in_angstroms is not None
    assert found.translation_in_angstroms is not None
    torch.testing.assert_close(
        given.translation_in_angstroms, found.translation_in_angstroms + 1, atol=1e-3, rtol=0
    )


def test_a_search_outlives_a_stop_before_its_poses_are_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    star = write_movies(tmp_path / "movies", swinging(4, 6), snr=2.0)

    def found(movies: MovieSet, *_: object) -> tuple[MovieSet, dict[str, Any]]:
        return movies, {"kind": "estimate", "words": "found", "at_rest": False}

    def rested(
        movies: MovieSet, _: object, facts: dict[str, Any], __: int
    ) -> tuple[MovieSet, dict[str, Any]]:
        return moved(movies)[0], facts | {"at_rest": True}

    def go(resume: bool) -> Run:
        options = replace(OPTIONS, poses="estimate")
        return reconstruct(star, tmp_path / "run", ReadingOptions(), PreprocessingOptions(), options, resume)

    monkeypatch.setattr(reconstructing, "settle_poses", found)
    monkeypatch.setattr(reconstructing, "bring_to_rest", stop)
    with pytest.raises(KeyboardInterrupt):
        go(resume=False)
    monkeypatch.setattr(reconstructing, "settle_poses", stop)
    monkeypatch.setattr(reconstructing, "bring_to_rest", rested)
    run = go(resume=True)
    assert run.config["poses"] == {"kind": "estimate", "words": "found", "at_rest": True}
    given, file = run.movies()[0], reconstructing.read_movies(star, ReadingOptions())
    assert given.translation_in_angstroms is not None
    assert file.translation_in_angstroms is not None
    torch.testing.assert_close(
        given.translation_in_angstroms, file.translation_in_angstroms + 1, atol=1e-3, rtol=0
    )

from dataclasses import replace

import numpy as np
import pytest
from made_movies import movie_set, noise, particle_images

from temporem.movies.description import describe, estimated_snr
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames


@pytest.mark.parametrize("snr", [0.1, 1.0])
def test_the_snr_is_the_one_the_images_were_made_with(snr):
    clean, optics, shift = particle_images(400, 48, radius_in_pixels=15.0)
    images = clean * np.sqrt(snr) / clean.std() + noise(400, 48, "white")
    movies = movie_set(images, contrast_transfer=optics, translation_in_angstroms=shift)
    assert estimated_snr(prepare_frames(movies, PreprocessingOptions())) == pytest.approx(snr, rel=0.1)


def test_the_text_says_what_is_there():
    clean, optics, shift = particle_images(41, 32, radius_in_pixels=10.0)
    movies = movie_set(
        clean + noise(41, 32, "white") * clean.std(),
        contrast_transfer=optics,
        translation_in_angstroms=shift,
        dose=np.linspace(0, 30, 41),
        provenance={"file": "lens.star", "movies": "rlnGroupName", "poses": "none"},
    )
    frame = movies.frame.copy()
    frame[movies.movie == 0] *= 2
    text = describe(replace(movies, frame=frame), prepare_frames(movies, PreprocessingOptions()))
    for words in (
        "41, 20 to 21 in a movie",
        "20, in 1 movies",
        "32 pixels of 3 Å",
        "lens.star",
        "rlnGroupName",
        "300 kV",
        "0 to 30 electrons",
        "bright, found in the images",
        "Nyquist 6 Å",
    ):
        assert words in text
    assert "poses from" not in text


def test_movies_without_ctf_or_poses_are_described():
    movies = movie_set(noise(10, 32, "white"))
    text = describe(movies, prepare_frames(movies, PreprocessingOptions()))
    assert "CTF                 none" in text
    assert "do not tell" in text

import numpy as np
import pytest
from made_movies import movie_set, noise, particle_images

from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames


def images_of_a_particle(sign: int, snr: float = 0.1):
    clean, optics, shift = particle_images(200, 32, radius_in_pixels=11.0)
    images = sign * clean * np.sqrt(snr) / clean.std() + noise(200, 32, "liquid")
    return movie_set(images, contrast_transfer=optics, translation_in_angstroms=shift)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_is_found_and_protein_becomes_bright(sign):
    prepared = prepare_frames(images_of_a_particle(sign), PreprocessingOptions())
    assert prepared.sign == sign
    assert ("bright" if sign > 0 else "dark") in prepared.sign_note
    bright = prepare_frames(images_of_a_particle(1, snr=1e6), PreprocessingOptions(sign="bright"))
    assert np.vdot(bright.coefficients, prepared.coefficients).real > 0


def test_noise_alone_leaves_relions_convention_and_says_so():
    prepared = prepare_frames(movie_set(noise(200, 32, "white")), PreprocessingOptions())
    assert prepared.sign == 1
    assert "do not tell" in prepared.sign_note


def test_asked_for_against_the_evidence_is_obeyed_with_a_remark():
    prepared = prepare_frames(images_of_a_particle(1), PreprocessingOptions(sign="dark"))
    assert prepared.sign == -1
    assert "as asked; but the images say bright" in prepared.sign_note


def test_one_image_tells_nothing():
    prepared = prepare_frames(movie_set(noise(1, 32, "white")), PreprocessingOptions())
    assert "do not tell" in prepared.sign_note

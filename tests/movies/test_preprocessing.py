import errno
import os
import tempfile
from dataclasses import replace

import mrcfile
import numpy as np
import pytest
import torch
from made_movies import movie_set, noise, particle_images

from temporem import files
from temporem.errors import UserError
from temporem.movies import preprocessing
from temporem.movies.images import StackImages, open_stack
from temporem.movies.preprocessing import PreprocessingOptions, prepare_frames, translation_in_pixels


def test_gray_values_come_back_from_scale_offset_and_sign():
    gray = 900 - 12 * noise(50, 32, "white")
    prepared = prepare_frames(movie_set(gray), PreprocessingOptions(sign="dark"))
    shown = prepared.half_disc.to_images(torch.from_numpy(prepared.coefficients)).numpy()
    back = prepared.sign * shown * prepared.scale[:, None, None] + prepared.offset[:, None, None]
    # What the half-disc can hold of it, within the window.
    held = prepared.half_disc.to_images(prepared.half_disc.from_images(torch.from_numpy(gray))).numpy()
    inner = slice(12, 20)
    assert np.corrcoef(back[:, inner, inner].ravel(), held[:, inner, inner].ravel())[0, 1] > 0.99
    assert prepared.image_scale == pytest.approx(12, rel=0.03)
    np.testing.assert_allclose(prepared.offset, 900, atol=5)


def test_each_image_has_its_own_level_and_gain():
    gray = noise(60, 32, "white")
    level, gain = np.linspace(-100, 1e4, 60), np.geomspace(1, 50, 60)
    plain = prepare_frames(movie_set(gray), PreprocessingOptions())
    uneven = gray * gain[:, None, None] + level[:, None, None]
    uneven = prepare_frames(movie_set(uneven), PreprocessingOptions())
    np.testing.assert_allclose(uneven.coefficients, plain.coefficients, atol=0.02)


def test_not_normalised_keeps_gray_values():
    gray = 4 * noise(60, 32, "white") + 1
    prepared = prepare_frames(movie_set(gray), PreprocessingOptions(normalise=False, sign="bright"))
    assert prepared.image_scale == 1
    assert not prepared.offset.any()
    assert prepared.noise_variance[4:].mean() == pytest.approx(16 * prepared.window_mean_square, rel=0.03)


def test_a_volume_times_image_scale_projects_to_the_cropped_images_gray_values():
    clean, optics, shift = particle_images(300, 64, radius_in_pixels=20.0)
    clean = clean * 40 / clean.std()
    gray = clean + 40 * noise(300, 64, "white") + 500
    movies = movie_set(gray, contrast_transfer=optics, translation_in_angstroms=shift)
    prepared = prepare_frames(movies, PreprocessingOptions(box=32))
    assert prepared.pixel_size_in_angstroms == 6
    shown = prepared.half_disc.to_images(torch.from_numpy(prepared.coefficients)).numpy()
    # Gray values are kept by cropping, so the clean images at every second pixel are nearly the cropped ones.
    smooth = np.fft.irfft2(
        np.fft.rfft2(clean)
        * (
            np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.rfftfreq(64, 1 / 64), indexing="ij"))
            < 15
        ),
        s=(64, 64),
    )
    sampled = smooth[:, ::2, ::2]
    gain = (sampled * shown).sum() / (sampled**2).sum()
    assert gain * prepared.image_scale == pytest.approx(1, rel=0.05)


def test_translations_are_in_pixels_of_the_prepared_box():
    movies = movie_set(noise(4, 32, "white"), translation_in_angstroms=np.full((4, 2), (6.0, -3.0)))
    prepared = prepare_frames(movies, PreprocessingOptions(box=16))
    np.testing.assert_allclose(translation_in_pixels(movies, prepared), np.full((4, 2), (1.0, -0.5)))
    with pytest.raises(UserError, match="poses"):
        translation_in_pixels(movie_set(noise(4, 32, "white")), prepared)


def test_chunks_and_the_temporary_file_change_nothing(monkeypatch):
    movies = movie_set(-noise(37, 32, "white"))
    whole = prepare_frames(movies, PreprocessingOptions(sign="dark"))
    monkeypatch.setattr(preprocessing, "PIXELS_PER_CHUNK", 5 * 32**2)
    monkeypatch.setattr(files, "BYTES_IN_MEMORY", 1000)
    told = []
    parts = prepare_frames(movies, PreprocessingOptions(sign="dark"), lambda count, note: told.append(count))
    assert isinstance(parts.coefficients, np.memmap)
    assert sum(told) == 37
    assert len(told) == 8
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, atol=1e-5)
    np.testing.assert_allclose(parts.noise_variance, whole.noise_variance, rtol=1e-5)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve room on the disk")
def test_a_disk_too_full_for_the_temporary_file_is_an_error(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=f"no room in {tempfile.gettempdir()} .*No space left.*TMPDIR"):
        prepare_frames(movie_set(noise(9, 32, "white")), PreprocessingOptions())


@pytest.mark.parametrize(
    ("fault", "words"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (None, "constant")],
)
def test_unusable_images_are_named(fault, words):
    images = noise(9, 32, "white") + 1000
    if fault is None:
        images[5] = 1000.1
    else:
        images[5, 3, 3] = fault
    with pytest.raises(UserError, match=f"image row 5 .*{words}"):
        prepare_frames(movie_set(images), PreprocessingOptions())


@pytest.mark.parametrize("box", [33, 17, 8, 0, -2, 64])
def test_boxes_that_do_not_fit(box):
    with pytest.raises(UserError, match="cannot crop"):
        prepare_frames(movie_set(noise(3, 32, "white")), PreprocessingOptions(box=box))


@pytest.mark.parametrize("radius", [0.0, -5.0, float("nan"), 70.0, 1e6])
def test_radii_that_leave_no_noise(radius):
    with pytest.raises(UserError, match="particle radius"):
        prepare_frames(
            movie_set(noise(3, 32, "white")), PreprocessingOptions(particle_radius_in_angstroms=radius)
        )


def test_the_radius_asked_for_is_the_windows():
    prepared = prepare_frames(
        movie_set(noise(200, 32, "white")), PreprocessingOptions(particle_radius_in_angstroms=24.0)
    )
    assert prepared.radius_in_angstroms == 24
    assert prepared.window_mean_square == pytest.approx(np.pi * 9**2 / 32**2, rel=0.1)
    np.testing.assert_allclose(prepared.noise_variance[3:], prepared.window_mean_square, rtol=0.1)


def test_images_whose_background_was_masked_away_are_refused():
    images = noise(6, 32, "white")
    y, x = np.mgrid[-16:16, -16:16]
    images[:, np.hypot(y, x) > 15] = 0
    with pytest.raises(UserError, match=r"image row 0 is constant outside .*, as if masked"):
        prepare_frames(movie_set(images), PreprocessingOptions())


def test_an_unusable_image_of_a_file_is_named_as_relion_names_it(tmp_path):
    images = noise(4, 32, "white")
    images[2] = 0
    with mrcfile.new(tmp_path / "stack.mrcs") as file:
        file.set_data(images)
    in_file = replace(movie_set(images), images=StackImages.all_of([open_stack(tmp_path / "stack.mrcs")]))
    with pytest.raises(UserError, match=r"image row 2 \(000003@.*stack.mrcs\) is constant; "):
        prepare_frames(in_file, PreprocessingOptions())


def test_images_too_small_to_tell_a_shape_are_refused():
    with pytest.raises(UserError, match="box of 12 pixels is too small"):
        prepare_frames(movie_set(noise(3, 12, "white")), PreprocessingOptions())

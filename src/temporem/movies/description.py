"""What is in a set of movies and how they were prepared, in words and small tables for people."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames

__all__ = ["describe", "estimated_snr", "summarise"]

ROWS_OF_TABLE = 16
BINS_OF_HISTOGRAM = 8
WIDTH_OF_BARS = 30
LABEL = 20
LABELS = {"file": "read from", "ignored": "columns ignored", "stacks not here": "stacks left out"}
"""Of what is told of the input, where "NAME from" would be wrong."""


def describe(movies: MovieSet, prepared: PreparedFrames) -> str:
    """Text for `temporem info`: what was found, where each thing was taken from, what was done with it."""
    parts = (_movies(movies), _images(movies, prepared), _optics(movies), _preparation(prepared))
    return "\n\n".join("\n".join(lines) for lines in (*parts, _shells(prepared)))


def summarise(movies: MovieSet, prepared: PreparedFrames) -> str:
    """`describe` in brief, for the head of a reconstruction: all that was taken or guessed, no tables."""
    lines = (*_movies(movies), *_images(movies, prepared), *_optics(movies), *_preparation(prepared))
    return "\n".join(line for line in lines if line.strip())


def estimated_snr(prepared: PreparedFrames) -> float:
    """Variance of the clean image over all its pixels by that of the noise; the mean gray value left out.

    From powers summed over the half-disc; zero where the noise hides the signal.
    """
    disc = prepared.half_disc
    multiplicity = disc.multiplicity.numpy()
    shell = disc.shell.numpy()
    signal = float((prepared.signal_power[shell] * multiplicity)[1:].sum())
    noise = float((prepared.noise_variance[shell] * multiplicity)[1:].sum()) / prepared.window_mean_square
    # Noise fills the square of frequencies, the signal only the disc.
    return max(0.0, signal / noise) * float(multiplicity[1:].sum()) / disc.box_size**2


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def _range(values: npt.NDArray[np.floating] | npt.NDArray[np.integer], form: str = "g") -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:{form}}" if f"{low:{form}}" == f"{high:{form}}" else f"{low:{form}} to {high:{form}}"


def _movies(movies: MovieSet) -> Iterator[str]:
    lengths = np.bincount(movies.movie, minlength=len(movies.movie_ids))
    yield _line("movies", f"{len(movies.movie_ids):,}")
    yield _line("frames", f"{len(movies):,}, {_range(lengths)} in a movie (median {np.median(lengths):g})")
    if lengths.min() < lengths.max():
        counts, edges = np.histogram(lengths, bins=min(BINS_OF_HISTOGRAM, int(np.ptp(lengths)) + 1))
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
            bar = "█" * math.ceil(WIDTH_OF_BARS * count / counts.max())
            yield _line("", f"{math.ceil(low):>4} to {math.floor(high):>4}  {bar} {count}")
    missing, incomplete = 0, 0
    intervals = []
    for _, rows in movies.rows_by_movie():
        frames = np.sort(movies.frame[rows])
        if len(frames) == 0:
            continue
        gap = int(frames[-1] - frames[0] + 1 - len(frames))
        missing, incomplete = missing + gap, incomplete + (gap > 0)
        intervals.append(np.diff(movies.time[rows]))
    words = f"{missing:,}, in {incomplete:,} movies" if missing else "none between a movie's first and last"
    yield _line("missing frames", words)
    steps = np.concatenate(intervals) if intervals else np.empty(0)
    if len(steps):
        yield _line(
            "time", f"in {movies.time_unit}, {np.median(steps):g} from one frame to the next (median)"
        )
    if movies.dose is not None:
        yield _line("dose", f"{_range(movies.dose)} electrons per Å²")


def _images(movies: MovieSet, prepared: PreparedFrames) -> Iterator[str]:
    box, pixel_size = movies.images.box_size, movies.pixel_size_in_angstroms
    yield _line("box", f"{box} pixels of {pixel_size:.4g} Å, {box * pixel_size:.4g} Å")
    yield _line("poses", "known" if movies.rotation is not None else "none")
    if movies.translation_in_angstroms is not None:
        length = np.linalg.norm(movies.translation_in_angstroms, axis=-1)
        yield _line("shifts", f"up to {length.max():.3g} Å, {np.sqrt((length**2).mean()):.3g} Å rms")
    for name, source in movies.provenance.items():
        if source not in ("", "none"):
            yield _line(LABELS.get(name, f"{name} from"), source)


def _optics(movies: MovieSet) -> Iterator[str]:
    ctf = movies.contrast_transfer
    if ctf is None:
        yield _line("CTF", "none")
        return
    u, v = (x.double().numpy() for x in (ctf.defocus_u_in_angstroms, ctf.defocus_v_in_angstroms))
    yield _line("defocus", f"{_range((u + v) / 2e4, '.3f')} µm, astigmatism {_range(abs(u - v), '.0f')} Å")
    yield _line("voltage", f"{_range(ctf.voltage_in_kilovolts.numpy())} kV")
    yield _line("Cs", f"{_range(ctf.spherical_aberration_in_millimetres.numpy(), '.3g')} mm")
    yield _line("amplitude contrast", f"{_range(ctf.amplitude_contrast.numpy(), '.3g')}")
    if ctf.phase_shift.abs().max() > 0:
        yield _line("phase shift", f"{_range(np.degrees(ctf.phase_shift.numpy()), '.3g')}°")
    if ctf.b_factor_in_square_angstroms.abs().max() > 0:
        yield _line("B-factor", f"{_range(ctf.b_factor_in_square_angstroms.numpy(), '.3g')} Å²")


def _preparation(prepared: PreparedFrames) -> Iterator[str]:
    box, pixel_size = prepared.box_size, prepared.pixel_size_in_angstroms
    yield _line("used at", f"box {box}, {pixel_size:.4g} Å per pixel, Nyquist {2 * pixel_size:.4g} Å")
    yield _line("particle radius", f"{prepared.radius_in_angstroms:.4g} Å, noise only beyond it")
    yield _line("particle is", prepared.sign_note)
    yield _line(
        "noise sd", f"{_range(prepared.scale, '.4g')} gray values, offset {_range(prepared.offset, '.4g')}"
    )
    yield _line(
        "SNR", f"about {estimated_snr(prepared):.2g} (variance of the clean images by that of the noise)"
    )


def _shells(prepared: PreparedFrames) -> Iterator[str]:
    edge = prepared.box_size * prepared.pixel_size_in_angstroms
    last = len(prepared.noise_variance) - 1
    yield f"{'shell':>5} {'resolution':>12} {'noise power':>12} {'signal power':>13} {'signal/noise':>13}"
    for shell in np.unique(np.linspace(1, last, min(last, ROWS_OF_TABLE)).round().astype(int)):
        noise, signal = prepared.noise_variance[shell], prepared.signal_power[shell]
        yield f"{shell:>5} {edge / shell:>10.1f} Å {noise:>12.4g} {signal:>13.3g} {signal / noise:>13.3g}"

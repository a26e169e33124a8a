"""What to simulate: a molecule, its motion over the frames, and the microscope that sees it."""

import math
from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import AvoidSubcommands

from temporem.errors import UserError
from temporem.simulation.densities import DensityOptions
from temporem.simulation.imaging import NoiseColour
from temporem.simulation.molecules import Molecule
from temporem.simulation.motions import ConstantSpeed, PassingThrough, Static, Telegraph

__all__ = ["MicroscopeOptions", "PoseOptions", "SimulationOptions"]


@dataclass(frozen=True)
class PoseOptions:
    """How the particle tumbles."""

    tumbling: Literal["uniform", "diffusion"] = "uniform"
    """Every frame's rotation anew and uniform, or rotational diffusion from a uniform start."""
    rotational_diffusion: float = 0.1
    """Rotational diffusion coefficient in rad² per frame."""
    shift_sd_in_angstroms: float = 3.0
    """Standard deviation of the particle's offset from the image centre, each axis, each frame anew."""


@dataclass(frozen=True)
class MicroscopeOptions:
    """The contrast transfer function; one defocus per movie."""

    ctf: bool = True
    """Without it, images are plain projections."""
    voltage_in_kilovolts: float = 300.0
    """Acceleration voltage."""
    spherical_aberration_in_millimetres: float = 2.7
    """Of the objective lens."""
    amplitude_contrast: float = 0.1
    """Fraction of the contrast that is amplitude contrast."""
    defocus_in_micrometres: tuple[float, float] = (1.0, 2.5)
    """Range of each movie's defocus, drawn uniformly; underfocus is positive."""
    astigmatism_in_micrometres: float = 0.05
    """Largest difference between the defoci of the two axes; drawn uniformly, at an angle drawn uniformly."""
    phase_shift_in_degrees: float = 0.0
    """Of a phase plate."""
    b_factor_in_square_angstroms: float = 0.0
    """Of the envelope exp(−B k² / 4)."""
    padding: int = 2
    """Images are made in a box this many times larger, then cropped: what the CTF spreads out of the box is
    lost, as in a micrograph; 1 lets it enter again on the other side."""


@dataclass(frozen=True)
class SimulationOptions:
    """Movies whose answer is known."""

    molecule: AvoidSubcommands[Molecule]
    """Which conformations there are."""
    motion: ConstantSpeed | PassingThrough | Telegraph | Static
    """When each of them is seen."""
    twin: bool = False
    """Start at a random state and run either way, so that counting frames tells nothing of the state."""
    movies: int = 100
    """Number of movies."""
    frames: int = 19
    """Frames per movie."""
    shortest_movie: int | None = None
    """If given, movies end after a number of frames drawn uniformly between this and `frames`."""
    missing_fraction: float = 0.0
    """Chance of each frame to be missing; two frames of every movie always remain."""
    box_size: int = 64
    """Edge of the images in pixels."""
    pixel_size_in_angstroms: float = 3.0
    """Edge of a pixel."""
    snr: float = 0.3
    """Variance of the clean images over the variance of the noise, over all pixels of all images."""
    noise: NoiseColour = "white"
    """White, or coloured: strongest at low frequency."""
    density: DensityOptions = field(default_factory=DensityOptions)
    """How atoms become a density."""
    poses: PoseOptions = field(default_factory=PoseOptions)
    """How the particle tumbles."""
    microscope: MicroscopeOptions = field(default_factory=MicroscopeOptions)
    """The contrast transfer function."""
    seed: int = 0
    """Of everything drawn at random; the same seed gives the same movies."""

    def check(self) -> None:
        """Raise UserError for numbers from which no movies can be made."""
        optics, poses = self.microscope, self.poses
        low, high = optics.defocus_in_micrometres
        shortest = self.frames if self.shortest_movie is None else self.shortest_movie
        rules = {
            "movies must be at least 1": self.movies >= 1,
            "frames must be at least 2, for a movie of one frame is not a movie": self.frames >= 2,
            f"shortest-movie must lie between 2 and the {self.frames} frames": 2 <= shortest <= self.frames,
            "missing-fraction must be at least 0 and below 1": 0 <= self.missing_fraction < 1,
            "box-size must be even and at least 8 pixels": self.box_size >= 8 and self.box_size % 2 == 0,
            "pixel-size-in-angstroms must be positive": _positive(self.pixel_size_in_angstroms),
            "snr must be positive": _positive(self.snr),
            "seed must not be negative": self.seed >= 0,
            "rotational-diffusion must be positive": _positive(poses.rotational_diffusion),
            "shift-sd-in-angstroms must not be negative": _not_negative(poses.shift_sd_in_angstroms),
            "voltage-in-kilovolts must be positive": _positive(optics.voltage_in_kilovolts),
            "spherical-aberration-in-millimetres must not be negative": _not_negative(
                optics.spherical_aberration_in_millimetres
            ),
            "amplitude-contrast must lie between 0 and 1": 0 <= optics.amplitude_contrast <= 1,
            "defocus-in-micrometres must be a lower and an upper bound": math.isfinite(high - low)
            and low <= high,
            "astigmatism-in-micrometres must not be negative": _not_negative(
                optics.astigmatism_in_micrometres
            ),
            "phase-shift-in-degrees must be a number": math.isfinite(optics.phase_shift_in_degrees),
            "b-factor-in-square-angstroms must not be negative": _not_negative(
                optics.b_factor_in_square_angstroms
            ),
            "padding must be at least 1": optics.padding >= 1,
        }
        for rule, holds in rules.items():
            if not holds:
                raise UserError(f"the movies asked for cannot be made: {rule}.")


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _not_negative(value: float) -> bool:
    return math.isfinite(value) and value >= 0

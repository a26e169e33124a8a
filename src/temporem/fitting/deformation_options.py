"""How a deformation is fitted: at which resolutions, how fast, and at what price."""

from dataclasses import dataclass

from temporem.fitting.options import PoseKind

__all__ = ["DeformationOptions", "Stage", "passes"]


@dataclass(frozen=True)
class Stage:
    """Passes over the frames at one resolution, and a step of the states after them."""

    resolution_in_angstroms: float
    """Finest; 0 is Nyquist."""
    passes: int


@dataclass(frozen=True)
class DeformationOptions:
    """Choices of the fit, by measurement."""

    stages: tuple[Stage, ...] = (
        Stage(19.0, 3),
        Stage(19.0, 3),
        Stage(14.0, 3),
        Stage(9.5, 3),
        *(Stage(0.0, 2),) * 6,
    )
    modes: int = 12
    width: int = 64
    frames_per_batch: int = 20
    field_rate: float = 12e-3
    """Of Adam, at the start, for motion and occupancy."""
    density_rate: float = 0.03
    """Share of a Newton step that a batch makes, at the start."""
    rigidity: float = 300.0
    """Nats per frame for a mean squared strain of one."""
    folding: float = 10_000.0
    """Nats per frame for a mean squared shortfall of the volume change of one."""
    conservation: float = 60.0
    """Nats per frame for a mean squared change of occupancy of one."""
    mass_changes: bool = True
    """Density may appear and vanish. Not where poses are unsure: density that fades stands in for their
    errors."""
    solves: int = 3
    """Conjugate gradient steps of the density at the end, and of that on positive points; 0 leaves it at the
    last stage's resolution."""
    more_solves: int = 2
    """And with the movies that were left out."""
    poses: PoseKind = "given"
    """`refine`: refine them with the states, but for their mean change at each state. `estimate`: refine them
    in the frame of reference in which the molecule moves least, and search for lost frames."""


def passes(options: DeformationOptions, some_left_out: bool) -> int:
    """How often `fit_deformation` advances: once for each pass over the frames, done or found needless."""
    more = [options.solves, options.more_solves] if some_left_out else []
    # Conjugate gradients take a pass before their first step.
    solving = [steps + 1 for steps in [options.solves, *more] if steps]
    return sum(stage.passes for stage in options.stages) + sum(solving)

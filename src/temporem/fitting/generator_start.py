"""Where a generator starts, for each kind: what is known of the volumes before any network is trained."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from temporem.fitting.consensus import Consensus
from temporem.fitting.options import FittingOptions, GeneratorKind
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.generators import Generator

__all__ = ["STARTS", "VolumesFound", "start_generator"]

AMPLITUDE = 0.3
"""Of what the MLP adds to an explicit base, relative to the volume's coefficients."""


@dataclass(frozen=True)
class VolumesFound:
    """Volumes from back-projection."""

    consensus: Consensus
    along_states: AnchorGenerator | None
    """None where no states are known yet, or `--no-explicit` asks for none."""


GeneratorStart = Callable[[FittingOptions, VolumesFound, Generator | None], Generator]
"""From the options, the volumes found, and the generator of the baseline where there is one, whose weights
are kept (paper, Sec. 4.2)."""


def start_generator(options: FittingOptions, found: VolumesFound, before: Generator | None) -> Generator:
    """Build a generator of the kind asked for, random weights drawn from the seed, and start it from data."""
    # Layers draw their first weights from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        kind = "fourier" if options.generator == "auto" else options.generator
        return STARTS[kind](options, found, before).to(found.consensus.volume.device)


def _start_fourier(options: FittingOptions, found: VolumesFound, before: Generator | None) -> Generator:
    box = found.consensus.volume.shape[-1]
    base = found.along_states
    if base is None and options.explicit:
        base = AnchorGenerator(box, options.dimensions, 1)
        base.fill(found.consensus.volume.cpu())
    config = FourierGeneratorConfig(box, options.dimensions, options.units, options.layers, options.encoding)
    generator = FourierGenerator(config, torch.Generator().manual_seed(options.seed), base)
    if before is None:
        share = AMPLITUDE if options.explicit else 1.0
        generator.scale_to(share * found.consensus.signal_power.sqrt())
    else:
        kept = {name: value for name, value in before.state_dict().items() if not name.startswith("base.")}
        generator.load_state_dict(generator.state_dict() | kept)
    return generator


STARTS: dict[GeneratorKind, GeneratorStart] = {"fourier": _start_fourier}

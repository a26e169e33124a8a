"""Where a stage starts: states from the linear subspace, volumes along them, and an encoder to match."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from temporem.fitting.anchors import BANDWIDTHS, anchor_count, fit_anchors
from temporem.fitting.encoder_start import STEPS, start_encoder
from temporem.fitting.frames import FrameStore
from temporem.fitting.options import FittingOptions
from temporem.fitting.subspace_fit import (
    START_RELAXATION_TIME,
    fit_subspace,
    order_components,
    start_subspace,
    subspace_posterior,
    subspace_radius,
)
from temporem.fitting.threads import one_thread
from temporem.model.anchor_generator import AnchorGenerator
from temporem.model.encoders import Encoder, FrameEncoder, TemporalEncoder
from temporem.model.features import FeatureExtractor, ImageFeatures, SubspaceFeatures
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.model.priors import LatentPrior, OrnsteinUhlenbeck, StandardNormal, build_prior
from temporem.model.subspace import LinearSubspace
from temporem.progress import progress
from temporem.reconstruction.backprojection import Accumulator, accumulate, signal_power, wiener
from temporem.reconstruction.masking import solvent_mask

__all__ = ["Consensus", "assemble", "find_consensus", "warm_start"]

FIRST_EPOCHS, FIRST_RATE = 12, 0.1
"""Of the subspace, from noise."""
MORE_EPOCHS, MORE_RATE = 6, 0.04
"""Of the subspace, from a fitted one: with time added, or in a baseline alone, which gets as many updates."""
ENCODER_WIDTH = 64
FEATURE_RADIUS = 16
"""Fourier radius that `ImageFeatures` reads, in pixels."""
AMPLITUDE = 0.3
"""Of what the MLP adds to an explicit base, relative to the volume's coefficients."""


@dataclass(frozen=True)
class Consensus:
    """All frames taken for one state."""

    volume: Float[Tensor, "n n n"]
    mask: Float[Tensor, "n n n"]
    """Soft, 1 within the molecule."""
    signal_power: Float[Tensor, " shells"]


def find_consensus(store: FrameStore) -> Consensus:
    """Back-project all frames into one volume, and find the solvent around it.

    Raises UserError where halves of the frames agree on nothing, or nothing rises out of the noise.
    """
    halves: list[Accumulator | None] = [None, None]
    with progress("Consensus volume", len(store)) as advance:
        for rows in torch.split(torch.arange(len(store)), 512):
            frames = store.frames(rows)
            for half in (0, 1):
                chosen = rows % 2 == half
                sums = accumulate(
                    frames.coefficients[chosen],
                    frames.transfer[chosen],
                    frames.rotation[chosen],
                    frames.rotation.new_zeros(int(chosen.sum()), 2),
                    torch.ones(store.lattice.radius + 1, device=store.device),
                    store.lattice,
                )
                before = halves[half]
                halves[half] = sums if before is None else before + sums
            advance(len(rows), "")
    first, second = (half for half in halves if half is not None)
    power = signal_power([(first, second)], store.lattice.radius + 1)
    unmasked = wiener(first + second, power)
    mask = solvent_mask(unmasked.cpu(), store.pixel_size_in_angstroms).to(store.device)
    return Consensus(wiener(first + second, power, mask), mask, power)


def assemble(
    store: FrameStore, options: FittingOptions, temporal: bool, base: Generator | None
) -> DynamicalModel:
    """The method's parts, put together with random weights from the seed."""
    box = store.lattice.box_size
    # Layers draw their first weights from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        generator = torch.Generator().manual_seed(options.seed)
        config = FourierGeneratorConfig(
            box, options.latent_dim, options.width, options.layers, options.encoding
        )
        network = FourierGenerator(config, generator, base)
        features: FeatureExtractor
        linear = options.features == "subspace"
        if linear:
            radius = subspace_radius(box, store.pixel_size_in_angstroms)
            subspace = LinearSubspace(box, options.latent_dim, radius).requires_grad_(False)
            features = SubspaceFeatures(subspace)
        else:
            features = ImageFeatures(
                store.lattice, min(FEATURE_RADIUS, box // 2), options.width, options.layers
            )
        encoder: Encoder
        prior: LatentPrior
        if temporal:
            encoder = TemporalEncoder(features.width, options.latent_dim, ENCODER_WIDTH, linear)
            prior = build_prior(options.prior, options.latent_dim)
        else:
            encoder = FrameEncoder(features.width, options.latent_dim, ENCODER_WIDTH, linear)
            prior = StandardNormal()
    return DynamicalModel(network, features, encoder, prior).to(store.device)


def warm_start(
    store: FrameStore,
    consensus: Consensus,
    options: FittingOptions,
    baseline: DynamicalModel | None,
    temporal: bool,
    generator: torch.Generator,
) -> DynamicalModel:
    """Return a model to train: assembled, and started from the data.

    The parts shared with `baseline` are copied from it (paper, Sec. 4.2); a temporal model refines them.
    `generator` draws what is random but for the networks' weights, which `assemble` draws from the seed.

    Raises UserError where numbers are lost to overflow.
    """
    box = store.lattice.box_size
    base: Generator | None = None
    if options.explicit:
        count = anchor_count(box, len(store)) if options.features == "subspace" else 1
        base = AnchorGenerator(box, options.latent_dim, count)
    model = assemble(store, options, temporal, base)
    if baseline is not None:
        model.features.load_state_dict(baseline.features.state_dict())
        model.generator.load_state_dict(baseline.generator.state_dict())
    elif isinstance(model.generator, FourierGenerator):
        share = AMPLITUDE if options.explicit else 1.0
        model.generator.scale_to(share * consensus.signal_power.sqrt())
        if isinstance(model.generator.base, AnchorGenerator):
            one = consensus.volume[None].expand(len(model.generator.base.anchors), -1, -1, -1)
            base_generator = model.generator.base
            base_generator.place(base_generator.anchors, one, base_generator.metric, 1.0)
    if isinstance(model.features, SubspaceFeatures):
        _start_from_subspace(model, model.features, store, consensus, options, baseline, generator)
    return model


def _start_from_subspace(
    model: DynamicalModel,
    features: SubspaceFeatures,
    store: FrameStore,
    consensus: Consensus,
    options: FittingOptions,
    baseline: DynamicalModel | None,
    generator: torch.Generator,
) -> None:
    subspace = features.subspace
    time: Tensor | None = None
    if isinstance(model.encoder, TemporalEncoder):
        time = torch.full((options.latent_dim,), START_RELAXATION_TIME, device=store.device)
    rounds = [(MORE_EPOCHS, MORE_RATE)]
    if baseline is None:
        start_subspace(subspace, consensus.volume, generator)
        rounds = [(FIRST_EPOCHS, FIRST_RATE)]
        if options.method == "cryodrgn":
            rounds.append((MORE_EPOCHS, MORE_RATE))
    found = time
    subspace.requires_grad_(True)
    with progress("Linear subspace", sum(epochs for epochs, _ in rounds)) as advance:
        for epochs, rate in rounds:
            found = fit_subspace(subspace, store, time, epochs, rate, generator, advance)
    subspace.requires_grad_(False)
    # A network that was fitted in this basis keeps it.
    if baseline is None:
        order_components(subspace)
    states = subspace_posterior(subspace, store, found)
    _place_anchors(model, subspace, states.mean.to(store.device), store, consensus, options)
    if isinstance(model.encoder, TemporalEncoder) and found is not None:
        with torch.no_grad():
            model.encoder.log_relaxation_time.copy_(found.log())
            if isinstance(model.prior, OrnsteinUhlenbeck):
                model.prior.log_relaxation_time.copy_(found.log())
    with one_thread(), progress("Encoder", STEPS) as advance:
        start_encoder(model.encoder, model.prior, features, store, generator, advance)


def _place_anchors(
    model: DynamicalModel,
    subspace: LinearSubspace,
    z: Float[Tensor, "frames latent"],
    store: FrameStore,
    consensus: Consensus,
    options: FittingOptions,
) -> None:
    if not isinstance(model.generator, FourierGenerator) or model.generator.base is None:
        return
    parts = subspace.parts[1:].flatten(1)
    steps = anchor_count(store.lattice.box_size, len(store)) + len(BANDWIDTHS)
    with progress("Volumes along the states", steps) as advance:
        anchored = fit_anchors(
            store, z, parts @ parts.T, consensus.mask, consensus.signal_power, options.seed, advance
        )
    model.generator.base.load_state_dict(anchored.generator.state_dict())

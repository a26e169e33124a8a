"""Where a stage starts: states from the linear subspace, volumes along them, and an encoder to match."""

from dataclasses import dataclass
from typing import Any

import torch

from temporem.fitting.anchors import Anchored
from temporem.fitting.consensus import Consensus
from temporem.fitting.encoder_start import STEPS, start_encoder
from temporem.fitting.frames import FrameStore
from temporem.fitting.generator_start import VolumesFound, start_generator
from temporem.fitting.linear import LinearStates, find_states, find_volumes
from temporem.fitting.options import FittingOptions
from temporem.fitting.subspace_fit import subspace_radius
from temporem.fitting.threads import one_thread
from temporem.model.encoders import Encoder, FrameEncoder, TemporalEncoder
from temporem.model.features import FeatureExtractor, ImageFeatures, SubspaceFeatures
from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.model.pose_estimator import PoseEstimator
from temporem.model.priors import LatentPrior, OrnsteinUhlenbeck, StandardNormal, build_prior
from temporem.model.subspace import LinearSubspace
from temporem.progress import progress

__all__ = ["Start", "assemble", "facts_found", "warm_start"]

ENCODER_WIDTH = 64
POSE_HEADS = 4
FEATURE_RADIUS = 16
"""Fourier radius that `ImageFeatures` reads, in pixels."""


@dataclass(frozen=True)
class Start:
    """A model to train, and what was found on the way to it."""

    model: DynamicalModel
    found: dict[str, Any]
    """As JSON holds it; see `facts_found`."""


def assemble(
    store: FrameStore, options: FittingOptions, temporal: bool, generator: Generator
) -> DynamicalModel:
    """The method's parts around a generator of any kind, put together with random weights from the seed."""
    box = store.lattice.box_size
    # Layers draw their first weights from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        features: FeatureExtractor
        linear = options.features == "subspace"
        if linear:
            radius = subspace_radius(box, store.pixel_size_in_angstroms)
            subspace = LinearSubspace(box, options.dimensions, radius).requires_grad_(False)
            features = SubspaceFeatures(subspace)
        else:
            features = ImageFeatures(
                store.lattice, min(FEATURE_RADIUS, box // 2), options.units, options.layers
            )
        encoder: Encoder
        prior: LatentPrior
        if temporal:
            encoder = TemporalEncoder(
                features.width, options.dimensions, ENCODER_WIDTH, linear, options.smoothing
            )
            prior = build_prior(options.prior, options.dimensions)
        else:
            encoder = FrameEncoder(features.width, options.dimensions, ENCODER_WIDTH, linear)
            prior = StandardNormal()
        poses: PoseEstimator | None = None
        if options.infers_poses:
            seeded = torch.Generator().manual_seed(options.seed)
            poses = PoseEstimator(features.width, options.units, options.layers, POSE_HEADS, seeded)
    return DynamicalModel(generator, features, encoder, prior, poses).to(store.device)


def warm_start(
    store: FrameStore,
    consensus: Consensus,
    options: FittingOptions,
    baseline: DynamicalModel | None,
    temporal: bool,
    generator: torch.Generator,
) -> Start:
    """Return a model to train: assembled, and started from the data.

    The parts shared with `baseline` are copied from it (paper, Sec. 4.2); a temporal model refines them.
    `generator` draws what is random but for the networks' weights, which are drawn from the seed.

    Raises UserError where numbers are lost to overflow.
    """
    states: LinearStates | None = None
    anchored: Anchored | None = None
    if options.features == "subspace":
        twice = baseline is None and (options.method == "cryodrgn" or not options.pretraining)
        before = _subspace(baseline)
        states = find_states(store, consensus, options.dimensions, temporal, before, twice, generator)
        if options.explicit:
            anchored = find_volumes(store, states, consensus, options.seed)
    found = VolumesFound(consensus, None if anchored is None else anchored.generator)
    network = start_generator(options, found, None if baseline is None else baseline.generator)
    model = assemble(store, options, temporal, network)
    if baseline is not None:
        model.features.load_state_dict(baseline.features.state_dict())
        if model.poses is not None and baseline.poses is not None:
            model.poses.load_state_dict(baseline.poses.state_dict())
    if states is not None:
        _start_from_states(model, states, store, generator)
    return Start(model, facts_found(states, anchored))


def _subspace(model: DynamicalModel | None) -> LinearSubspace | None:
    features = None if model is None else model.features
    return features.subspace if isinstance(features, SubspaceFeatures) else None


def _start_from_states(
    model: DynamicalModel, states: LinearStates, store: FrameStore, generator: torch.Generator
) -> None:
    if not isinstance(model.features, SubspaceFeatures):
        return
    model.features.subspace.load_state_dict(states.subspace.state_dict())
    if isinstance(model.encoder, TemporalEncoder) and states.relaxation_time is not None:
        with torch.no_grad():
            model.encoder.log_relaxation_time.copy_(states.relaxation_time.log())
            if isinstance(model.prior, OrnsteinUhlenbeck):
                model.prior.log_relaxation_time.copy_(states.relaxation_time.log())
    with one_thread(), progress("Encoder", STEPS) as advance:
        start_encoder(model.encoder, model.prior, model.features, store, generator, advance)


def facts_found(states: LinearStates | None, anchored: Anchored | None) -> dict[str, Any]:
    """What a person may ask of the data's part in a fit; empty where the networks start from nothing.

    `anchors`: how many volumes along the states. `bandwidth`: of the average around them, relative to the
    spread of the states, if all frequencies had one; `bandwidth_by_shell`: as it is, from shell 0 to the
    last. `bandwidth_scores`: of each one tried, the log likelihood per frame of movies left out, above the
    widest's. `relaxation_times`: of each component, in usual frame intervals.
    """
    facts: dict[str, Any] = {}
    if anchored is not None:
        bandwidths = anchored.bandwidths
        facts |= {"anchors": len(anchored.generator.anchors), "bandwidth": bandwidths.best}
        facts["bandwidth_by_shell"] = bandwidths.by_shell(len(anchored.signal_power)).tolist()
        facts["bandwidth_scores"] = {f"{bandwidth:g}": x for bandwidth, x in bandwidths.scores.items()}
    if states is not None and states.relaxation_time is not None:
        facts["relaxation_times"] = states.relaxation_time.tolist()
    return facts

"""How a reconstruction is fitted: what a user may choose, with defaults chosen by measurement."""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from temporem.errors import UserError
from temporem.model.encoding import EncodingKind
from temporem.model.priors import PriorKind

__all__ = ["FeatureKind", "FittingOptions", "GeneratorKind", "Method", "PoseKind"]

Method = Literal["tempor", "linear", "cryodrgn", "hetem"]
GeneratorKind = Literal["auto", "fourier", "deformable"]
FeatureKind = Literal["subspace", "image"]
PoseKind = Literal["given", "refine", "estimate"]

OF_NETWORKS = (
    "epochs",
    "pose_network",
    "prior",
    "pretraining",
    "smoothing",
    "features",
    "explicit",
    "width",
    "layers",
    "encoding",
    "frames_per_batch",
    "coefficients_per_step",
    "learning_rate",
    "beta",
)
"""Options that mean nothing to a density that moves."""
MOST_DIMENSIONS = 64
"""Of the latent state: more than movies can tell apart, and few enough to compute with."""


@dataclass(frozen=True)
class FittingOptions:
    """Choices of the model and of its fitting."""

    latent_dim: int | Literal["auto"] = "auto"
    """Dimensions of the latent state; auto: as few as foretell held-out frames as well as any."""
    method: Method = "tempor"
    """tempor infers states from whole movies; linear does so without networks, in seconds; cryodrgn is tempor
    without time (paper, Eq. 9); hetem is cryodrgn without poses (paper, Eq. 14)."""
    poses: PoseKind = "given"
    """given: those of the file are true; refine: they are nearly so, and are improved; estimate: they are not
    known, and are found from nothing."""
    seed: int = 0
    """Seed of everything random; the same seed on the same processor gives the same result (on the CPU)."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    devices: int = 1
    """Processes on each machine, one for each CUDA device, or on the CPU as many as asked for: they share out
    the frames of the linear method, of the moving density and of the networks. The search for poses and the
    networks that infer them are done whole by each."""
    nodes: int = 1
    """Machines, each with so many devices. What srun or torchrun have started says so itself."""
    epochs: int = 8
    """Passes of the networks over the frames; half of them are the pretraining's where there is one. Of 20
    movies or more some are kept from a training with known poses, and the epoch that foretells them best is
    taken."""
    pose_network: bool = False
    """Infer poses by a network along with tempor's states, from the images alone (paper, Sec. 5.4; with
    --pretraining hetem comes first); with --poses refine or estimate it starts from what these found."""
    prior: PriorKind = "ou"
    """Prior of tempor's states: ou (Ornstein–Uhlenbeck), standard (the paper's N(0, I)) or gated."""
    pretraining: bool = False
    """Fit tempor's no-time baseline first (paper, Sec. 4.2); else the temporal model from the start."""
    smoothing: bool = True
    """Infer tempor's states from whole movies; else from the frames up to each."""
    features: FeatureKind = "subspace"
    """What the encoder reads of a frame. subspace: what it says of a linear model in its pose; image: the
    paper's MLP on it."""
    explicit: bool = True
    """Start the generator from volumes back-projected along the states; else, as the paper, from nothing."""
    generator: GeneratorKind = "auto"
    """What makes the volumes. fourier: the paper's MLP at Fourier coordinates; deformable: one density that
    moves, which every frame has a part in, or averages along the states where these foretell movies left out
    better. auto: fourier with cryodrgn, and wherever an option of the networks is given; else deformable."""
    width: int | Literal["auto"] = "auto"
    """Units in each hidden layer of the networks; auto: 64 where the generator adds to explicit volumes, as
    good there as more; 256 where it makes them from nothing, or features are taken from images."""
    layers: int = 3
    """Residual hidden layers of the generator."""
    encoding: EncodingKind = "gaussian"
    """Encoding of Fourier coordinates: gaussian, or positional (paper, Eq. 12)."""
    frames_per_batch: int = 40
    """Frames in a step of the optimiser, rounded to whole movies."""
    coefficients_per_step: float = 0.4
    """Random part of the Fourier coefficients that a step looks at."""
    learning_rate: float = 3e-4
    """Of Adam, at the start; it falls to zero along a half cosine in each stage."""
    beta: float = 1.0
    """Weight of the KL term; 1 makes the objective a bound on the likelihood."""

    @property
    def dimensions(self) -> int:
        """The latent dimension, where it is a number by now.

        Raises ValueError for auto.
        """
        if self.latent_dim == "auto":
            raise ValueError("the latent dimension has yet to be chosen")
        return self.latent_dim

    @property
    def units(self) -> int:
        """In each hidden layer of the networks."""
        if self.width == "auto":
            return 64 if self.explicit and self.features == "subspace" else 256
        return self.width

    @property
    def deforms(self) -> bool:
        """Whether the volumes are to come from one density that moves."""
        if self.generator == "auto":
            return self.method == "tempor" and not self._given_to_networks()
        return self.generator == "deformable"

    @property
    def infers_poses(self) -> bool:
        """Whether a network infers the poses."""
        return self.method == "hetem" or (self.method == "tempor" and self.pose_network)

    @property
    def needs_poses(self) -> bool:
        """Whether the movies' own poses are used."""
        return self.poses == "refine" or (self.poses == "given" and not self.infers_poses)

    def without_poses(self) -> "FittingOptions":
        """These choices with what needs known poses left out: encoder and generator start from nothing."""
        return replace(self, features="image", explicit=False)

    def asked(self) -> dict[str, Any]:
        """What a resumed run must repeat, as JSON holds it: any number of processes may go on."""
        return {name: x for name, x in asdict(self).items() if name not in ("devices", "nodes")}

    def _given_to_networks(self) -> list[str]:
        return [x.name for x in fields(self) if x.name in OF_NETWORKS and getattr(self, x.name) != x.default]

    def check(self) -> None:
        """Raise UserError for a number that makes no sense."""
        rules = (
            (
                "latent-dim",
                self.latent_dim,
                self.latent_dim == "auto" or 1 <= self.latent_dim <= MOST_DIMENSIONS,
                f"auto, or from 1 to {MOST_DIMENSIONS}",
            ),
            # What scikit-learn takes.
            ("seed", self.seed, 0 <= self.seed < 2**32, "from 0 to 2³² − 1"),
            ("devices", self.devices, self.devices >= 1, "at least 1"),
            ("nodes", self.nodes, self.nodes >= 1, "at least 1"),
            ("epochs", self.epochs, self.epochs >= 2, "at least 2"),
            ("width", self.width, self.width == "auto" or self.width >= 1, "auto, or at least 1"),
            ("layers", self.layers, self.layers >= 1, "at least 1"),
            ("frames-per-batch", self.frames_per_batch, self.frames_per_batch >= 1, "at least 1"),
            (
                "coefficients-per-step",
                self.coefficients_per_step,
                0 < self.coefficients_per_step <= 1,
                "above 0 and at most 1",
            ),
            ("learning-rate", self.learning_rate, 0 < self.learning_rate < math.inf, "above 0"),
            ("beta", self.beta, 0 <= self.beta < math.inf, "at least 0"),
        )
        for name, value, holds, needed in rules:
            if not holds:
                raise UserError(f"--{name} is {value}, but must be {needed}: choose another value.")
        if self.generator == "deformable" and self.method != "tempor":
            raise UserError(
                f"--generator deformable goes with --method tempor, not {self.method}: choose one of the two"
                " anew."
            )
        if self.pose_network and self.method not in ("tempor", "hetem"):
            raise UserError(
                f"--pose-network goes with --method tempor or hetem, not {self.method}: choose one of the two"
                " anew."
            )
        given = self._given_to_networks()
        if self.generator == "deformable" and given:
            raise UserError(
                f"--generator deformable has no networks that --{given[0].replace('_', '-')} could be for:"
                " leave out one of the two."
            )

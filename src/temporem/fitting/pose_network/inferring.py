"""A whole reconstruction whose poses a network infers (paper, Sec. 5.4)."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from temporem.fitting.answering import facts_of, keep_first_poses, write_answer, write_poses
from temporem.fitting.consensus import find_consensus
from temporem.fitting.frames import FrameStore
from temporem.fitting.options import FittingOptions
from temporem.fitting.pose_network.settling import Settled, settle
from temporem.fitting.pose_network.starting import nothing_known
from temporem.fitting.poses.found import Poses
from temporem.fitting.stages import ImagesOnly, posterior_of, train_stages
from temporem.movies.movie_set import MovieSet
from temporem.movies.preprocessing import PreparedFrames, translation_in_pixels
from temporem.progress import console
from temporem.reconstruction.run import Run

__all__ = ["infer_poses"]

DIMENSIONS = 4
"""Of the latent state with auto: what moves cannot be counted before poses are known."""
LOST_IN_DEGREES = 20.0
"""Standard deviation on each axis in the median frame, beyond which a volume is a blur."""


def infer_poses(
    run: Run, movies: MovieSet, prepared: PreparedFrames, store: FrameStore, fitting: FittingOptions
) -> None:
    """Train hetem, or hetem and then tempor, on the frames as they are, and write a whole run.

    With `fitting.poses` given the poses of `movies` and of their `store` are passed over; otherwise the
    network starts from them. The run's poses are those inferred: the mean of each frame's best candidate.

    Raises UserError where the frames at those poses agree on no volume.
    """
    chosen = DIMENSIONS if fitting.latent_dim == "auto" else fitting.latent_dim
    fitting = replace(fitting.without_poses(), latent_dim=chosen)
    run.update_config(latent_dim=chosen, held_out={})
    frames = store.unposed()
    images_only = ImagesOnly(math.sqrt(prepared.window_mean_square), None, None)
    if fitting.poses != "given":
        rotation = torch.from_numpy(np.asarray(movies.rotation, dtype=np.float32))
        shift = torch.from_numpy(translation_in_pixels(movies, prepared))
        images_only = replace(images_only, rotation=rotation, translation_in_pixels=shift)
    start = train_stages(run, frames, nothing_known(frames), fitting, images_only)
    model = start.model.eval()
    # Each process has trained it whole, and another machine might round otherwise.
    store.processes.align(model)
    mean, sd = posterior_of(model, frames, fitting)
    poses = settle(model, frames, mean)
    consensus = find_consensus(store.posed(Poses(poses.rotation, poses.translation_in_pixels)))
    run.write_consensus(consensus.volume.cpu() * prepared.image_scale)
    run.write_mask(consensus.mask.cpu())
    translation = poses.translation_in_pixels.numpy() * prepared.pixel_size_in_angstroms
    found = replace(movies, rotation=poses.rotation.numpy(), translation_in_angstroms=translation)
    if fitting.poses != "given":
        keep_first_poses(run)
    write_poses(run, found)
    before = run.config.get("poses", {})
    # A run taken up again after its end has been told of its own poses already.
    before = before.get("started_from", before)
    run.update_config(poses=_facts(poses, prepared.pixel_size_in_angstroms, before))
    write_answer(run, found, model.generator, mean, sd, fitting.method, start.found | facts_of(model))


def _facts(poses: Settled, pixel_size_in_angstroms: float, before: dict[str, Any]) -> dict[str, Any]:
    turn = float(torch.rad2deg(poses.rotation_sd).mean(-1).median())
    shift = float(poses.shift_sd_in_pixels.median()) * pixel_size_in_angstroms
    words = (
        f"Poses were inferred by a network, by its own account to {turn:.1f}° and {shift:.1f} Å on each axis"
        " in the median frame. It may be wrong, and the molecule of the other hand: compare runs of several"
        " seeds."
    )
    warning = (
        "The network has not learned to tell poses: do not trust these, nor the volumes. It takes thousands"
        " of updates (--epochs); --poses estimate searches instead."
    )
    warning = "" if turn <= LOST_IN_DEGREES else warning
    for sentence in filter(None, (words, warning)):
        console.print(sentence, highlight=False, soft_wrap=True)
    # What was said of the poses that the network started from stays said.
    words, warning = (
        " ".join(filter(None, (before.get(name, ""), said)))
        for name, said in (("words", words), ("warning", warning))
    )
    return {
        "kind": "network",
        "started_from": before,
        "median_rotation_sd_in_degrees": turn,
        "median_shift_sd_in_angstroms": shift,
        "words": words,
        "warning": warning,
    }

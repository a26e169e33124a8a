"""New movies of a molecule run through a finished model: their states, the motion and the density held."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from sklearn.cluster import KMeans
from torch import Tensor

from temporem.errors import UserError
from temporem.fitting.answering import write_answer, write_poses
from temporem.fitting.deformation_states import RefinedStates, radius_at, smoothed, told_of_states
from temporem.fitting.frames import FrameStore
from temporem.fitting.overdispersion import deviations, of_generator, tempered
from temporem.fitting.run_description import asked_of, describe_run
from temporem.model.deformable_generator import DeformableGenerator
from temporem.model.devices import choose_device, describe_device
from temporem.movies.description import summarise
from temporem.movies.preprocessing import prepare_frames
from temporem.movies.reading import ReadingOptions, read_movies, require_poses
from temporem.physics.projection import central_slices
from temporem.physics.volumes import PADDING, slicing_grid
from temporem.progress import console, progress
from temporem.reconstruction.latents_file import latent_columns
from temporem.reconstruction.run import Run

__all__ = ["apply", "infer_states"]

_CANDIDATES = 32
"""States of the run that a frame's is first looked for among."""
_FIRST_RESOLUTION_IN_ANGSTROMS = 14.0
_RESOLUTIONS_IN_ANGSTROMS = (19.0, 14.0, 9.5, 0.0, 0.0)
"""Of the steps of the smoother; 0 is Nyquist."""
_SAME_PIXEL = 1e-3
_ROUNDS = 10
_ROWS_AT_ONCE = 256


def apply(finished: Run, path: Path, output: Path, reading: ReadingOptions, device_name: str) -> Run:
    """Find the states of new movies under the model of a run, and leave a run of them in `output`.

    The images are prepared as the run's were. One gain is fitted between the two sets of images; the motion,
    the density and the relaxation times are the run's. The states are the exact smoother's, as in a fit.

    Raises UserError for what is wrong with the movies or the folder, and where the run's generator does not
    move one density.
    """
    device = choose_device(device_name)
    generator = finished.generator(str(device)).requires_grad_(False)
    if not isinstance(generator, DeformableGenerator):
        raise UserError(
            f"the volumes of {finished.path} are not one density that moves, so new movies cannot be run"
            " through it: fit with --generator deformable."
        )
    movies = read_movies(path, reading)
    require_poses(movies)
    preprocessing = replace(finished.options()[1], box=None)
    if movies.images.box_size != generator.box_size:
        preprocessing = replace(preprocessing, box=generator.box_size)
    Run.check_free(output)
    console.print(f"Computing on {describe_device(device)}")
    with progress("Preparing images", len(movies)) as advance:
        prepared = prepare_frames(movies, preprocessing, advance)
    console.print(summarise(movies, prepared), highlight=False, markup=False, soft_wrap=True)
    was, now = generator.config.pixel_size_in_angstroms, prepared.pixel_size_in_angstroms
    if prepared.box_size != generator.box_size or abs(now / was - 1) > _SAME_PIXEL:
        raise UserError(
            f"the movies have {prepared.box_size} pixels of {now:.4g} Å and the run {generator.box_size} of"
            f" {was:.4g} Å: bring the images to the run's box and pixel size."
        )
    store = FrameStore(movies, prepared, device)
    per_interval = _interval_ratio(finished, store, movies.time_unit)
    relaxation = torch.tensor(finished.configured("found")["relaxation_times"], device=device) / per_interval
    latents = finished.latents()
    known = torch.from_numpy(latents[latent_columns(latents)].to_numpy("float32")).to(device)
    with progress("Finding states", 1 + len(_RESOLUTIONS_IN_ANGSTROMS)) as advance:
        states, gain = infer_states(generator, store, known, relaxation, advance)
    generator.amplitude = generator.amplitude * gain
    asked = asked_of(path, reading, preprocessing) | {"fitting": finished.configured("fitting")}
    run = Run.create(output, asked | {"applied": str(finished.path.resolve())})
    ratio = gain * prepared.image_scale / finished.configured("image_scale")
    describe_run(run, movies, prepared, device, store)
    run.write_consensus(finished.consensus() * ratio)
    run.write_mask(finished.mask())
    factor = of_generator(generator, store, states.mean)
    mean, covariance = states.mean.cpu(), tempered(states.covariance, factor).cpu()
    found = {"relaxation_times": relaxation.tolist(), "gain": gain, "overdispersion": factor}
    found = finished.configured("found") | found
    write_answer(run, movies, generator, mean, deviations(covariance), "applied", found, covariance)
    write_poses(run, movies)
    return run


@torch.no_grad()
def infer_states(
    generator: DeformableGenerator,
    store: FrameStore,
    known: Float[Tensor, "states latent"],
    relaxation_time: Float[Tensor, " latent"],
    advance: Callable[[int, str], None],
) -> tuple[RefinedStates, float]:
    """Posterior of the frames' states under a generator that is held, and the images' gain over its slices.

    A frame's state is first looked for among places where `known` states lie; then the smoother takes steps
    at finer and finer resolution. `relaxation_time` is in usual frame intervals of the store.
    """
    z, gain = _first_states(generator, store, known)
    advance(1, "")
    amplitude = generator.amplitude
    generator.amplitude = amplitude * gain
    states = RefinedStates(z, z.new_zeros(*z.shape, z.shape[-1]))
    for resolution in _RESOLUTIONS_IN_ANGSTROMS:
        told = told_of_states(generator, store, states.mean, radius_at(store, resolution))
        states = smoothed(told, store, relaxation_time)
        advance(1, "")
    generator.amplitude = amplitude
    return states, gain


def _first_states(
    generator: DeformableGenerator, store: FrameStore, known: Float[Tensor, "states latent"]
) -> tuple[Float[Tensor, "frames latent"], float]:
    """Each frame's mean over candidate states, by its likelihood under the gain that fits all frames best."""
    count = min(_CANDIDATES, len(known))
    centres = KMeans(count, n_init=1, random_state=0).fit(known.cpu().numpy()).cluster_centers_
    candidates = torch.from_numpy(centres).to(known)
    coefficients = store.lattice.count_within(radius_at(store, _FIRST_RESOLUTION_IN_ANGSTROMS))
    frequency = store.lattice.frequency[:coefficients]
    weight = store.lattice.multiplicity[:coefficients]
    grids = [slicing_grid(generator.volumes(z[None])[0]) for z in candidates]
    cross, norm = known.new_empty(len(store), count), known.new_empty(len(store), count)
    for rows in torch.split(torch.arange(len(store)), _ROWS_AT_ONCE):
        frames = store.frames(rows, coefficients)
        for index, grid in enumerate(grids):
            slices = central_slices(grid, frames.rotation, frequency, PADDING) * frames.transfer
            cross[rows, index] = ((frames.coefficients.conj() * slices).real * weight).sum(-1)
            norm[rows, index] = (slices.abs().square() * weight).sum(-1)
    gain = cross.sum() / norm.sum()
    for _ in range(_ROUNDS):
        share = torch.softmax(gain * cross - 0.5 * gain**2 * norm, dim=-1)
        gain = (share * cross).sum() / (share * norm).sum()
    if not float(gain) > 0:
        raise UserError(
            "the movies do not show the molecule of the run: give movies of the same molecule, with poses in"
            " the same frame."
        )
    return share @ candidates, float(gain)


def _interval_ratio(finished: Run, store: FrameStore, time_unit: str) -> float:
    """Usual interval of the new movies over the run's; 1 where their times are not in one unit."""
    if finished.configured("time_unit") != time_unit:
        return 1.0
    return store.usual_interval / float(finished.configured("usual_interval"))

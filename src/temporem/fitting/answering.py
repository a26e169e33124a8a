"""What a run is asked for, written into its folder."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from temporem.files import replacing
from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.model.priors import OrnsteinUhlenbeck
from temporem.model.store import save_generator
from temporem.movies.movie_set import MovieSet
from temporem.movies.reading import read_movies, require_poses
from temporem.movies.writing import write_poses_star
from temporem.reconstruction.run import Run

__all__ = ["facts_of", "first_movies", "keep_first_poses", "write_answer", "write_poses"]


def write_answer(
    run: Run,
    movies: MovieSet,
    generator: Generator,
    mean: Float[Tensor, "frames latent"],
    sd: Float[Tensor, "frames latent"],
    answer_of: str,
    found: dict[str, Any],
    covariance: Float[Tensor, "frames latent latent"] | None = None,
) -> None:
    """Write the generator, the latents, and whose answer this is."""
    save_generator(run.model_path, generator)
    run.write_latents(movies, mean, sd, covariance)
    run.update_config(answer_of=answer_of, found=found, latent_dim=mean.shape[-1])


def write_poses(run: Run, movies: MovieSet) -> None:
    """Write `poses.star`."""
    require_poses(movies)
    if movies.rotation is not None and movies.translation_in_angstroms is not None:
        write_poses_star(run.poses_path, movies, movies.rotation, movies.translation_in_angstroms)


def keep_first_poses(run: Run) -> None:
    """Put the poses that a fit began with aside, before it replaces them by its own."""
    kept = _first_poses(run)
    if not kept.exists():
        with replacing(kept) as temporary:
            shutil.copyfile(run.poses_path, temporary)


def first_movies(run: Run) -> MovieSet:
    """The movies at the poses that the fit began with, so that it begins alike when it is taken up again."""
    reading, _ = run.options()
    kept = _first_poses(run)
    poses = kept if kept.exists() else run.poses_path
    return read_movies(Path(run.configured("input")), dataclasses.replace(reading, poses=poses))


def _first_poses(run: Run) -> Path:
    return run.checkpoints_path / "poses.star"


def facts_of(model: DynamicalModel) -> dict[str, Any]:
    """What a trained model itself tells, as JSON holds it."""
    if not isinstance(model.prior, OrnsteinUhlenbeck):
        return {}
    return {"relaxation_times": model.prior.log_relaxation_time.exp().tolist()}

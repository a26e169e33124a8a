"""What a run is asked for, written into its folder."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from temporem.model.generators import Generator
from temporem.model.methods import DynamicalModel
from temporem.model.priors import OrnsteinUhlenbeck
from temporem.model.store import save_generator
from temporem.movies.movie_set import MovieSet
from temporem.movies.reading import require_poses
from temporem.movies.writing import write_poses_star
from temporem.reconstruction.run import Run

__all__ = ["facts_of", "write_answer", "write_poses"]


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


def facts_of(model: DynamicalModel) -> dict[str, Any]:
    """What a trained model itself tells, as JSON holds it."""
    if not isinstance(model.prior, OrnsteinUhlenbeck):
        return {}
    return {"relaxation_times": model.prior.log_relaxation_time.exp().tolist()}

"""What a step of training looks at."""

from pathlib import Path
from typing import Any

import pytest
import torch
from blob_movies import blob_store, silent, swinging

from temporem.fitting import trainer
from temporem.fitting.options import FittingOptions
from temporem.fitting.trainer import Trainer
from temporem.fitting.warm_start import assemble
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig

BOX = 16
OPTIONS = FittingOptions(
    latent_dim=1, features="image", explicit=False, width=8, layers=1, frames_per_batch=20, epochs=2
)


@pytest.mark.parametrize(("most", "looked_at"), [(10**6, 40 * 39), (600, 600), (10, 40)])
def test_long_movies_are_seen_by_fewer_coefficients_at_a_time(
    most: int, looked_at: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Movies of 40 frames and 97 coefficients, of which a step takes 0.4 where it may."""
    store = blob_store(swinging(2, 40), BOX)
    config = FourierGeneratorConfig(BOX, 1, OPTIONS.width, OPTIONS.layers)
    model = assemble(store, OPTIONS, True, FourierGenerator(config, torch.Generator().manual_seed(0)))
    points = []

    def elbo(*given: Any, bound: Any = trainer.elbo) -> Any:
        _, frames, batch, lattice, chosen, _ = given
        assert len(lattice) == 97
        points.append(len(chosen) * len(batch.rows))
        assert len(batch.rows) == len(frames.coefficients) == 40
        return bound(*given)

    monkeypatch.setattr(trainer, "elbo", elbo)
    monkeypatch.setattr(trainer, "POINTS_PER_STEP", most)
    generator = torch.Generator().manual_seed(0)
    Trainer(model, store, OPTIONS, 1, "temporal", tmp_path, generator).run(lambda record: None, silent)
    assert points == [looked_at] * 2

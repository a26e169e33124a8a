"""Which epoch a training keeps, told by movies that it has not seen."""

from pathlib import Path
from typing import Any

import pytest
import torch
from blob_movies import blob_store, silent, swinging
from torch import Tensor

from temporem.fitting.consensus import find_consensus
from temporem.fitting.options import FittingOptions
from temporem.fitting.trainer import Trainer
from temporem.fitting.unseen_movies import Unseen, set_aside
from temporem.fitting.warm_start import assemble
from temporem.model.fourier_generator import FourierGenerator, FourierGeneratorConfig
from temporem.model.methods import DynamicalModel

BOX, MOVIES, FRAMES, EPOCHS = 12, 45, 4, 4
OPTIONS = FittingOptions(
    latent_dim=1, features="image", explicit=False, width=8, layers=1, frames_per_batch=60
)


def trained(
    folder: Path, scores: list[float] | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[Trainer, list[dict[str, Tensor]]]:
    """A training whose epochs, the start first, foretell unseen movies so well (None: as they do); and the
    weights of each."""
    store = blob_store(swinging(MOVIES, FRAMES), BOX)
    seen, unseen = set_aside(store, torch.zeros(BOX, BOX, BOX))
    # Layers draw their first weights from the global generator.
    torch.manual_seed(0)
    config = FourierGeneratorConfig(BOX, 1, OPTIONS.width, OPTIONS.layers)
    model = assemble(store, OPTIONS, True, FourierGenerator(config, torch.Generator().manual_seed(0)))
    weights: list[dict[str, Tensor]] = []
    true_nats = Unseen.nats

    def nats(self: Unseen, model: DynamicalModel) -> Tensor:
        weights.append({name: x.detach().clone() for name, x in model.named_parameters()})
        if scores is None:
            return true_nats(self, model)
        return torch.full((len(self.store),), float(scores[len(weights) - 1]))

    monkeypatch.setattr(Unseen, "nats", nats)
    generator = torch.Generator().manual_seed(0)
    trainer = Trainer(model, seen, OPTIONS, EPOCHS, "temporal", folder, generator, unseen)
    trainer.run(lambda record: None, silent)
    return trainer, weights


def test_one_movie_in_twenty_is_kept_from_the_training() -> None:
    store = blob_store(swinging(MOVIES, FRAMES), BOX)
    seen, unseen = set_aside(store, torch.zeros(BOX, BOX, BOX))
    assert unseen is not None
    assert (len(seen.movie_rows), len(unseen.store.movie_rows)) == (43, 2)
    seen, unseen = set_aside(store.only(range(20)), torch.zeros(BOX, BOX, BOX))
    assert unseen is not None
    # Two, for a standard error.
    assert (len(seen.movie_rows), len(unseen.store.movie_rows)) == (18, 2)
    few, nothing = set_aside(store.only(range(19)), torch.zeros(BOX, BOX, BOX))
    assert nothing is None
    assert len(few.movie_rows) == 19


@pytest.mark.parametrize(
    ("scores", "kept"),
    [([0, 1, 3, 2, 2.5], 2), ([0, 1, 2, 3, 4], 4), ([0, -1, -2, -3, -0.5], 0)],
    ids=["a turn", "better to the end", "never better than the start"],
)
def test_the_best_epoch_is_kept(
    scores: list[float], kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, weights = trained(tmp_path, scores, monkeypatch)
    facts = trainer.kept()
    assert facts["epoch_kept"] == kept
    assert len(weights) == len(scores)
    assert facts["nats_per_frame"] == pytest.approx(scores[kept] - scores[0])
    found = dict(trainer.model.named_parameters())
    assert all(torch.equal(found[name], x) for name, x in weights[kept].items())
    assert any(not torch.equal(found[name], x) for name, x in weights[(kept + 1) % len(weights)].items())


@pytest.mark.parametrize("scores", [[0, 1, 3, 2, 2.5], None], ids=["a turn", "as they are"])
def test_a_training_taken_up_again_keeps_the_same_epoch(
    scores: list[float] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        whole, _ = trained(tmp_path / "whole", scores, patch)
    calls, train_epoch = iter(range(10)), Trainer._train_epoch

    def stopped_in_the_fourth(self: Trainer) -> dict[str, Any]:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return train_epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", stopped_in_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped", scores, patch)
    with monkeypatch.context() as patch:
        again, _ = trained(tmp_path / "stopped", None if scores is None else scores[4:], patch)
    assert again.kept() == whole.kept()
    assert [x["foretold"] for x in again.records] == [x["foretold"] for x in whole.records]
    found = dict(again.model.named_parameters())
    assert [n for n, x in whole.model.named_parameters() if not torch.equal(found[n], x)] == []


def test_a_model_that_makes_nothing_foretells_worse_than_the_consensus() -> None:
    store = blob_store(swinging(MOVIES, FRAMES), BOX, snr=2.0)
    _, unseen = set_aside(store, find_consensus(store).volume)
    assert unseen is not None
    config = FourierGeneratorConfig(BOX, 1, OPTIONS.width, OPTIONS.layers)
    model = assemble(store, OPTIONS, True, FourierGenerator(config, torch.Generator().manual_seed(0)))
    score = unseen.score(unseen.nats(model))
    assert score.nats_per_frame < 0
    assert (score.frames, score.movies) == (2 * FRAMES, 2)

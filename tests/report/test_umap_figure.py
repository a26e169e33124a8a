"""UMAP beside PCA, where it is installed."""

import numpy as np
import pandas as pd
import pytest

from temporem.report import umap_figure as module
from temporem.report.umap_figure import has_umap, umap_figure


def latents(frames: int, dimensions: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    cloud = np.arange(frames) % 2
    columns = {f"z{i + 1}": 20 * cloud + random.normal(size=frames) for i in range(dimensions)}
    sd = {f"sd{i + 1}": 0.1 for i in range(dimensions)}
    known = {"image": np.arange(frames), "movie": "m", "frame": np.arange(frames), "time": cloud * 1.0}
    return pd.DataFrame(known | columns | sd)


def test_it_is_drawn_only_where_there_is_something_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: object())
    assert has_umap(latents(60, 2))
    assert not has_umap(latents(60, 1))
    assert not has_umap(latents(20, 2))
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert not has_umap(latents(60, 2))


@pytest.mark.external
def test_clouds_far_apart_stay_apart() -> None:
    pytest.importorskip("umap")
    figure = umap_figure(latents(120, 3), "time")
    places = np.asarray(figure.axes[0].collections[0].get_offsets())
    first, second = places[::2], places[1::2]
    between = np.linalg.norm(first.mean(0) - second.mean(0))
    assert between > 3 * max(first.std(), second.std()) / 2

import numpy as np
import pandas as pd
import pytest

from temporem.report.comparison_figures import comparison_figures, improvement_figure
from temporem.report.manifold_figures import manifold_figure
from temporem.report.manifold_section import manifold_told

RANDOM = np.random.default_rng(0)
STATE = np.linspace(0, 1, 60)


def table_of(axes: int, categories: int) -> pd.DataFrame:
    places = {f"axis{index + 1}": STATE + 0.1 * RANDOM.normal(size=60) for index in range(axes)}
    known = {"image": range(60), "movie": "m", "frame": np.arange(60) % 10, "state": STATE}
    category = np.minimum((STATE * categories).astype(int), categories - 1)
    return pd.DataFrame(known | {"category": category, "value": 90 * STATE} | places)


@pytest.mark.parametrize(("axes", "categories"), [(3, 10), (1, 10), (2, 1), (2, 40)])
def test_a_manifold_is_drawn_whatever_its_dimension_and_categories(axes: int, categories: int) -> None:
    figure = manifold_figure(table_of(axes, categories), "degrees", [0.8, 0.15, 0.05][:axes])
    plane, along, spread = figure.axes[:3]
    assert plane.get_ylabel() == ("frame" if axes == 1 else "second axis (15%)")
    assert along.get_xlabel() == "true value (degrees)"
    offsets = np.asarray(along.collections[0].get_offsets())
    np.testing.assert_allclose(offsets[:, 0], 90 * STATE)
    # Every category is there: as a violin, or as dots where its frames are few.
    assert len(spread.collections) + sum(x.get_marker() == "o" for x in spread.lines) == categories


def test_histograms_hold_every_frame_that_differs() -> None:
    gain = np.concatenate((RANDOM.normal(1, 2, size=50), np.zeros(10)))
    frames = pd.concat(
        [
            pd.DataFrame(
                {
                    "run": run,
                    "state": STATE,
                    "whole_resolution_in_angstroms": 8.0,
                    "whole_improvement_in_percent": gain if run != "theirs" else np.nan,
                }
            )
            for run in ("ours", "theirs")
        ]
    )
    shell = np.arange(1, 9)
    curve = {"resolution_in_angstroms": 48 / shell, "fsc": 0.5, "fsc_10th_percentile": 0.4}
    fsc = pd.concat(
        [
            pd.DataFrame({"run": x, "mask": "whole", **curve, "fsc_90th_percentile": 0.6})
            for x in ("ours", "theirs")
        ]
    )
    figures = comparison_figures(frames, fsc, "theirs")
    (axis,) = figures["improvement"].axes
    assert sum(patch.get_height() for patch in axis.patches) == 50
    better, equal, worse = (100 * x.mean() for x in (gain > 0, gain == 0, gain < 0))
    assert axis.texts[0].get_text() == f"{better:.0f}% better\n{equal:.0f}% equal\n{worse:.0f}% worse"
    assert len(figures["fsc"].axes[0].lines) == 3


def test_a_small_improvement_is_drawn_as_wide_as_a_large_one() -> None:
    gain = RANDOM.normal(size=60)
    gains = {"small": gain, "large": 12 * gain, "theirs": np.nan}
    frames = pd.concat(
        [
            pd.DataFrame(
                {
                    "run": run,
                    "whole_resolution_in_angstroms": 8.0,
                    "whole_improvement_in_percent": values,
                },
                index=range(60),
            )
            for run, values in gains.items()
        ]
    )
    small, large = improvement_figure(frames, "theirs").axes
    assert [x.get_height() for x in small.patches] == [x.get_height() for x in large.patches]
    np.testing.assert_allclose(large.get_xlim(), 12 * np.array(small.get_xlim()))


def test_what_was_not_asked_is_not_told() -> None:
    figures = {
        "leading_axis_spearman": 0.97,
        "ordering_spearman": None,
        "silhouette": None,
        "category_accuracy": None,
        "largest_category": 0.1,
        "step_ratio": 0.3,
        "state_step_ratio": None,
    }
    told = manifold_told(figures)
    assert "0.970" in told
    assert "0.30 times" in told
    assert "guess" not in told
    assert "None" not in told

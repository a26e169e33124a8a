import numpy as np
import torch

from temporem.evaluation.over_time import curves_over_time


def test_curves_are_averaged_over_frames_of_equal_index() -> None:
    frame = np.array([4, 0, 4, 2])
    curves = torch.arange(12.0).reshape(4, 3)
    table = curves_over_time(frame, {"a": curves, "b": -curves}, 30.0)
    assert table["frame"].unique().tolist() == [0, 2, 4]
    late = table[(table["curve"] == "a") & (table["frame"] == 4)]
    # Rows 0 and 2, shells 1 and 2.
    assert late["fsc"].tolist() == [(1 + 7) / 2, (2 + 8) / 2]
    assert late["movies"].tolist() == [2, 2]
    assert late["resolution_in_angstroms"].tolist() == [30.0, 15.0]
    np.testing.assert_allclose(table[table["curve"] == "b"]["fsc"], -table[table["curve"] == "a"]["fsc"])

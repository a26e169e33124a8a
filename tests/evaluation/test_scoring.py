import numpy as np
import pytest
import torch
from blobs import BOX, BlobTruth, in_order, volume_at

from temporem.errors import UserError
from temporem.evaluation.scoring import by_conformation, evaluate_volumes, scorer_of
from temporem.evaluation.summary import frames_table, fsc_table, summarise

TRUTH = BlobTruth(in_order(3, 5))
ROWS = list(range(15))


def true_volumes(rows):
    return (TRUTH.volume(np.asarray([row]))[0] for row in rows)


def test_the_truth_itself_reaches_nyquist_in_any_scale_and_offset():
    scores = evaluate_volumes((5 + 2 * x for x in true_volumes(ROWS)), ROWS, TRUTH)
    summary = summarise(scores, TRUTH)
    for mask in ("whole", "molecule", "moving"):
        # An offset is structure only where a mask cuts it out.
        if mask == "whole":
            assert summary[mask]["resolution_in_angstroms"] == {"mean_over_frames": 6.0, "of_mean_curve": 6.0}
            assert summary[mask]["frames_at_nyquist"] == 15
    assert summary["psnr_in_decibels"] > 90
    assert summary["ssim"] == pytest.approx(1.0)


def test_the_consensus_does_well_on_the_whole_and_badly_where_it_moves():
    mean = torch.stack([volume_at(s) for s in np.linspace(0, 1, 5)]).mean(dim=0)
    fsc = evaluate_volumes([mean] * 15, ROWS, TRUTH).fsc
    low = slice(1, 6)
    assert fsc["whole"][:, low].mean() > 0.85
    assert fsc["moving"][:, low].mean() < fsc["whole"][:, low].mean() - 0.05


def test_wrong_states_are_seen_under_the_moving_mask():
    wrong = [volume_at(1 - s) for s in TRUTH.states["state"]]
    fsc = evaluate_volumes(wrong, ROWS, TRUTH).fsc["moving"]
    ends, middle = (np.flatnonzero(TRUTH.states["state"] == x) for x in (0.0, 0.5))
    assert fsc[ends, 3:6].max() < 0.3
    assert fsc[middle].min() > 0.999


def test_scores_do_not_depend_on_the_order_of_rows():
    rows = by_conformation(ROWS, TRUTH)
    assert rows != ROWS
    noise = torch.randn(15, BOX, BOX, BOX, generator=torch.Generator().manual_seed(0))
    estimates = {row: volume + noise[row] for row, volume in zip(ROWS, true_volumes(ROWS), strict=True)}
    one = evaluate_volumes((estimates[row] for row in ROWS), ROWS, TRUTH)
    other = evaluate_volumes((estimates[row] for row in rows), rows, TRUTH)
    assert one.image.tolist() == other.image.tolist() == ROWS
    assert torch.equal(one.fsc["moving"], other.fsc["moving"])
    np.testing.assert_array_equal(one.ssim, other.ssim)


def test_rows_of_one_conformation_share_their_truth():
    rows, scorer = by_conformation(ROWS, TRUTH), scorer_of(TRUTH)
    volumes = list(true_volumes(rows))
    before = TRUTH.asked
    evaluate_volumes(volumes, rows, TRUTH, scorer)
    assert TRUTH.asked - before == 5


def test_numpy_volumes_of_a_coarser_grid_are_scored_in_the_truths_box():
    coarse = [volume_at(s, box=16).numpy() for s in TRUTH.states["state"]]
    fsc = evaluate_volumes(coarse, ROWS, TRUTH).fsc["whole"]
    assert fsc[:, 1:7].min() > 0.99
    assert fsc.shape == (15, 13)


def test_a_static_truth_has_no_moving_mask():
    static = BlobTruth(np.zeros((2, 3)))
    scores = evaluate_volumes([volume_at(0.0)] * 6, list(range(6)), static)
    assert list(scores.fsc) == ["whole", "molecule"]


def test_tables_have_a_row_for_every_frame_and_shell():
    scores = evaluate_volumes(true_volumes(ROWS), ROWS, TRUTH)
    frames = frames_table({"run": scores, "other": scores.of([3, 4])}, TRUTH)
    assert frames["method"].value_counts().to_dict() == {"run": 15, "other": 2}
    assert frames.loc[frames["method"] == "other", "frame"].tolist() == [3, 4]
    curves = fsc_table({"run": scores.fsc}, TRUTH)
    assert len(curves) == 3 * BOX // 2
    assert curves["resolution_in_angstroms"].iloc[[0, 11]].tolist() == [72.0, 6.0]


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (torch.full((BOX, BOX, BOX), float("nan")), "not finite"),
        (torch.zeros(BOX, BOX, BOX - 2), "does not fit"),
        (torch.zeros(BOX + 2, BOX + 2, BOX + 2), "does not fit"),
        (torch.zeros(15, 15, 15), "does not fit"),
    ],
)
def test_volumes_that_cannot_be_scored_are_named(volume, words):
    with pytest.raises(UserError, match=f"image 7 .*{words}"):
        evaluate_volumes([volume], [7], TRUTH)

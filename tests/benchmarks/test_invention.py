"""The wrong start of the benchmark of what a run invents."""

import torch
from benchmark_scripts import load_benchmark

from temporem.fitting.anchors import Anchored
from temporem.fitting.bandwidths import BANDWIDTHS, RANGES, Bandwidths
from temporem.model.anchor_generator import AnchorGenerator

invention = load_benchmark("invention")


def test_the_wrong_start_is_turned_and_no_mirror_image() -> None:
    generator = AnchorGenerator(8, 1, 1)
    # [z, y, x]: a blob along each axis, of its own weight.
    volume = torch.zeros(8, 8, 8)
    volume[4, 4, 6], volume[4, 6, 4], volume[6, 4, 4] = 1, 2, 3
    generator.place(torch.zeros(1, 1), volume[None], torch.eye(1), 0.5)
    anchored = Anchored(generator, Bandwidths(1.0, BANDWIDTHS[:RANGES], 4, {}), torch.ones(5))
    wrong = invention.turned(anchored).generator.volumes_at_anchors[0]
    along = [float(wrong[place]) for place in ((4, 4, 6), (4, 6, 4), (6, 4, 4))]
    # x → z → y → x.
    assert along == [2.0, 3.0, 1.0]
    # The right start is left as it was.
    assert torch.equal(generator.volumes_at_anchors[0], volume)

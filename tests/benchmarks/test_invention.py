"""The wrong start of the benchmark of what a run invents."""

import torch
from benchmark_scripts import load_benchmark

from temporem.fitting.anchors import Anchored
from temporem.fitting.bandwidths import BANDWIDTHS, Bandwidths
from temporem.model.anchor_generator import AnchorGenerator

invention = load_benchmark("invention")


def test_axes_exchanged_thrice_are_as_they_were() -> None:
    generator = AnchorGenerator(8, 1, 2)
    volumes = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    generator.place(torch.tensor([[-1.0], [1.0]]), volumes, torch.eye(1), 0.5)
    anchored = Anchored(generator, Bandwidths(BANDWIDTHS[0], BANDWIDTHS, 4, {}), torch.ones(5))
    once = invention.exchanged(anchored)
    twice = invention.exchanged(once)
    thrice = invention.exchanged(twice)
    for wrong in (once, twice):
        assert not torch.equal(wrong.generator.volumes_at_anchors, volumes)
    assert torch.equal(thrice.generator.volumes_at_anchors, volumes)
    # The right start is left as it was.
    assert torch.equal(generator.volumes_at_anchors, volumes)

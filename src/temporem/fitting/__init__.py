"""Fitting a method to movies with known poses: from images and options to a run folder.

`reconstruct.reconstruct` is the whole job. A stage of it begins with `warm_start` (states from a linear
subspace, `subspace_fit`; volumes along them, `anchors`; an encoder to match, `encoder_start`) and is a
`trainer.Trainer` climbing the `objective` on the frames of a `frames.FrameStore`, with `checkpoints` to go on
from. `held_out.choosing` says first, from movies left out, whether anything moves and how many dimensions it
takes.
"""

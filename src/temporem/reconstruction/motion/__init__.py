"""What moves, and how: the displacement field of a run whose generator is one moving density."""

from temporem.reconstruction.motion.atoms import MorphFit, morph
from temporem.reconstruction.motion.describing import MotionFound, write_motion
from temporem.reconstruction.motion.field import MotionField, open_motion
from temporem.reconstruction.motion.segments import Segments, rigid_segments

__all__ = [
    "MorphFit",
    "MotionField",
    "MotionFound",
    "Segments",
    "morph",
    "open_motion",
    "rigid_segments",
    "write_motion",
]

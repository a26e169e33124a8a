"""The contrast transfer function, in RELION's sign: protein bright, positive near the origin."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["ContrastTransfer"]


@dataclass(frozen=True, eq=False)
class ContrastTransfer:
    """What the microscope's contrast transfer depends on, one entry per frame."""

    defocus_u_in_angstroms: Float[Tensor, " frames"]
    defocus_v_in_angstroms: Float[Tensor, " frames"]
    defocus_angle: Float[Tensor, " frames"]
    """Angle of the U axis from x, radians."""
    voltage_in_kilovolts: Float[Tensor, " frames"]
    spherical_aberration_in_millimetres: Float[Tensor, " frames"]
    amplitude_contrast: Float[Tensor, " frames"]
    phase_shift: Float[Tensor, " frames"]
    """Of a phase plate, radians."""
    b_factor_in_square_angstroms: Float[Tensor, " frames"]
    """Envelope exp(−B k² / 4), k in Å⁻¹."""

    def __len__(self) -> int:
        return len(self.defocus_u_in_angstroms)

    def __getitem__(self, rows: Int[Tensor, " rows"]) -> "ContrastTransfer":
        return ContrastTransfer(*(getattr(self, x.name)[rows] for x in fields(self)))

    def tensors(self) -> Iterator[tuple[str, Float[Tensor, " frames"]]]:
        """Each field's name and its tensor."""
        return ((x.name, getattr(self, x.name)) for x in fields(self))

    def to(self, device: torch.device) -> "ContrastTransfer":
        """Return the same parameters on `device`."""
        return ContrastTransfer(*(x.to(device) for _, x in self.tensors()))

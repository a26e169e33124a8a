"""The contrast transfer function, in RELION's sign: protein bright, positive near the origin."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_ctf import calculate_total_phase_shift

__all__ = ["ContrastTransfer", "contrast_transfer_function"]


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


def contrast_transfer_function(
    parameters: ContrastTransfer, frequency_in_inverse_angstroms: Float[Tensor, "coefficients 2"]
) -> Float[Tensor, "frames coefficients"]:
    """CTF(k) = −sin γ(k) · exp(−B k² / 4) of each frame at k = (kx, ky) in Å⁻¹.

    γ = −π λ Δ(θ) k² + ½ π Cs λ³ k⁴ − φ − arcsin w, with Δ(θ) = ½ (U + V) + ½ (U − V) cos 2(θ − angle),
    underfocus positive, w the amplitude contrast and φ the phase plate's shift: RELION's sign, positive
    near the origin. Computed in float64, for γ reaches hundreds of radians; returned in the frequency's type.
    """
    kx, ky = frequency_in_inverse_angstroms.double().unbind(-1)
    squared = kx**2 + ky**2
    columns = {name: tensor.double()[:, None] for name, tensor in parameters.tensors()}
    u, v = columns["defocus_u_in_angstroms"], columns["defocus_v_in_angstroms"]
    # Our own Δ(θ): torch-ctf takes the square root of U − V, so it refuses V > U.
    bearing = torch.atan2(ky, kx) - columns["defocus_angle"]
    defocus = (u + v) / 2 + (u - v) / 2 * torch.cos(2 * bearing)
    gamma: Tensor = calculate_total_phase_shift(
        defocus_um=defocus * 1e-4,
        voltage_kv=columns["voltage_in_kilovolts"],
        spherical_aberration_mm=columns["spherical_aberration_in_millimetres"],
        phase_shift_degrees=torch.rad2deg(columns["phase_shift"]),
        amplitude_contrast_fraction=columns["amplitude_contrast"],
        fftfreq_grid_angstrom_squared=squared,
    )
    envelope = torch.exp(-columns["b_factor_in_square_angstroms"] * squared / 4)
    return (-gamma.sin() * envelope).to(frequency_in_inverse_angstroms.dtype)

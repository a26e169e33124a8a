import math

import pytest
import torch
from torch_ctf import calculate_ctf_2d

from temporem.physics.ctf import ContrastTransfer, contrast_transfer_function
from temporem.physics.lattice import half_disc

TYPICAL = {
    "defocus_u_in_angstroms": 18_000.0,
    "defocus_v_in_angstroms": 16_500.0,
    "defocus_angle": 0.6,
    "voltage_in_kilovolts": 300.0,
    "spherical_aberration_in_millimetres": 2.7,
    "amplitude_contrast": 0.1,
    "phase_shift": 0.0,
    "b_factor_in_square_angstroms": 0.0,
}


def parameters(**changes: float) -> ContrastTransfer:
    return ContrastTransfer(**{name: torch.tensor([x]) for name, x in (TYPICAL | changes).items()})


def lattice(box: int = 64, pixel_size: float = 1.5) -> torch.Tensor:
    return half_disc(box).frequency / (box * pixel_size)


def wavelength_in_angstroms(kilovolts: float) -> float:
    """The de Broglie wavelength with its relativistic correction, from the constants of nature."""
    volts = 1e3 * kilovolts
    return 12.2642598 / math.sqrt(volts * (1 + 0.978475598e-6 * volts))


def relion_ctf(frequency: torch.Tensor, **changes: float) -> torch.Tensor:
    """`CTF::initialise` and `getCTF` of RELION 3 (src/ctf.h), written out."""
    p = TYPICAL | changes
    wavelength = wavelength_in_angstroms(p["voltage_in_kilovolts"])
    w = p["amplitude_contrast"]
    mean = -(p["defocus_u_in_angstroms"] + p["defocus_v_in_angstroms"]) / 2
    deviation = -(p["defocus_u_in_angstroms"] - p["defocus_v_in_angstroms"]) / 2
    kx, ky = frequency.double().unbind(-1)
    u2 = kx**2 + ky**2
    delta = mean + deviation * torch.cos(2 * (torch.atan2(ky, kx) - p["defocus_angle"]))
    k1 = math.pi * wavelength
    k2 = math.pi / 2 * p["spherical_aberration_in_millimetres"] * 1e7 * wavelength**3
    k3 = math.atan(w / math.sqrt(1 - w**2))
    argument = k1 * delta * u2 + k2 * u2**2 - p["phase_shift"] - k3
    return -torch.sin(argument) * torch.exp(-p["b_factor_in_square_angstroms"] / 4 * u2)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"defocus_v_in_angstroms": 25_000.0},
        {"defocus_u_in_angstroms": -4000.0, "defocus_v_in_angstroms": -5000.0},
        {"voltage_in_kilovolts": 80.0, "spherical_aberration_in_millimetres": 0.001},
        {"amplitude_contrast": 0.0, "phase_shift": math.pi / 2},
        {"b_factor_in_square_angstroms": 120.0, "defocus_angle": -2.0},
    ],
)
def test_ctf_is_relions(changes):
    frequency = lattice()
    ours = contrast_transfer_function(parameters(**changes), frequency)
    torch.testing.assert_close(ours[0].double(), relion_ctf(frequency, **changes), atol=2e-5, rtol=0)


def test_ctf_is_torch_ctfs_on_its_own_grid():
    box, pixel_size = 32, 2.0
    whole = calculate_ctf_2d(
        defocus=(18_000 + 16_500) / 2e4,
        astigmatism=(18_000 - 16_500) / 2e4,
        astigmatism_angle=math.degrees(0.6),
        voltage=300.0,
        spherical_aberration=2.7,
        amplitude_contrast=0.1,
        phase_shift=0.0,
        pixel_size=pixel_size,
        image_shape=(box, box),
        rfft=True,
        fftshift=False,
    )
    disc = half_disc(box)
    ours = contrast_transfer_function(parameters(), disc.frequency / (box * pixel_size))
    torch.testing.assert_close(ours[0], whole.flatten()[disc.index], atol=2e-3, rtol=0)


def test_protein_is_bright_near_the_origin():
    ctf = contrast_transfer_function(parameters(), torch.tensor([[0.0, 0.0], [0.005, 0.0]]))[0]
    assert ctf[0] == pytest.approx(0.1)
    assert ctf[1] > ctf[0]


def test_astigmatism_puts_defocus_u_along_its_angle():
    # Without Cs and amplitude contrast the first zero is at k² = 1 / (λ Δ), with Δ = U along the angle.
    angle, u, v = 0.4, 20_000.0, 10_000.0
    astigmatic = parameters(
        defocus_u_in_angstroms=u,
        defocus_v_in_angstroms=v,
        defocus_angle=angle,
        spherical_aberration_in_millimetres=0.0,
        amplitude_contrast=0.0,
    )
    for bearing, defocus in ((angle, u), (angle + math.pi / 2, v)):
        zero = 1 / math.sqrt(wavelength_in_angstroms(300.0) * defocus)
        k = zero * torch.tensor([[math.cos(bearing), math.sin(bearing)]], dtype=torch.float64)
        assert contrast_transfer_function(astigmatic, k).abs().item() < 1e-3
        assert contrast_transfer_function(astigmatic, 0.7 * k).item() > 0.9


def test_each_frame_has_its_own_parameters():
    frames = [parameters(defocus_u_in_angstroms=x, defocus_v_in_angstroms=x) for x in (8e3, 2e4)]
    columns = {name: torch.cat([getattr(frame, name) for frame in frames]) for name in TYPICAL}
    both = contrast_transfer_function(ContrastTransfer(**columns), lattice())
    for row, frame in enumerate(frames):
        torch.testing.assert_close(both[row], contrast_transfer_function(frame, lattice())[0])
        picked = ContrastTransfer(**columns)[torch.tensor([row])]
        torch.testing.assert_close(contrast_transfer_function(picked, lattice())[0], both[row])


def test_precision_survives_float32_parameters_and_frequencies():
    # γ is 200 radians here: a float32 phase would be wrong in the fifth digit, the float32 inputs are exact.
    frequency = torch.tensor([[0.25, 0.25]])
    changes = {"defocus_u_in_angstroms": 32_768.0, "defocus_v_in_angstroms": 32_768.0, "defocus_angle": 0.0}
    ours = contrast_transfer_function(parameters(**changes), frequency.double())
    expected = relion_ctf(frequency, **changes, amplitude_contrast=float(torch.tensor(0.1)))
    torch.testing.assert_close(ours[0], expected, atol=1e-4, rtol=0)

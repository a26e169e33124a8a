"""Which device computes, chosen aloud."""

from functools import cache

import torch

from temporem.errors import UserError

__all__ = ["choose_device", "describe_device", "has_bfloat16"]


def choose_device(name: str) -> torch.device:
    """The device of a name: auto takes CUDA where there is one.

    Raises UserError for a name that is no device, and for one that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name} is no device: give auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name} is not supported: give auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {name} is not there: this machine has {torch.cuda.device_count()} CUDA devices; "
            "give --device cpu, or auto."
        )
    return device


def describe_device(device: torch.device) -> str:
    """The device in words for people."""
    precision = "bfloat16 in the networks" if has_bfloat16(device) else "float32"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device}), {precision}"
    return f"CPU, {torch.get_num_threads()} threads, {precision}"


@cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())

import pytest
import torch

from temporem.errors import UserError
from temporem.model.devices import choose_device, describe_device, has_bfloat16


def test_processor_is_always_there_and_told_with_its_threads() -> None:
    device = choose_device("cpu")
    assert device == torch.device("cpu")
    assert f"{torch.get_num_threads()} threads" in describe_device(device)
    assert ("bfloat16" in describe_device(device)) == has_bfloat16(device)


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_where_there_is_one(
    there: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["graphics", "cuda:x", "cuda:-1", "", "meta", "mps"])
def test_names_of_no_device_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="give auto, cpu, cuda"):
        choose_device(name)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2), ("cuda:99", 8)])
def test_devices_that_are_not_there_are_refused(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(UserError, match=f"this machine has {count} CUDA devices"):
        choose_device(name)


def test_devices_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)

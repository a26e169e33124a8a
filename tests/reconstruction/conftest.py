import pytest
from run_folders import LinearVolumes

from temporem.reconstruction.run import Run


@pytest.fixture
def known_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run's generator is `LinearVolumes`."""
    monkeypatch.setattr(Run, "generator", lambda run, device="cpu": LinearVolumes())

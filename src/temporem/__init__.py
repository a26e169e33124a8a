"""Recover a molecule's 3D motion from liquid-phase electron microscopy movies."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("temporem")

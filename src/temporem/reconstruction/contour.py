"""The level at which volumes are drawn as surfaces."""

from jaxtyping import Float
from skimage.filters import threshold_otsu
from torch import Tensor

__all__ = ["contour_level"]


def contour_level(volume: Float[Tensor, "n n n"], mask: Float[Tensor, "n n n"]) -> float:
    """Otsu's threshold inside the mask, or in the whole volume where the mask is empty."""
    inside = volume[mask > 0.5]
    chosen = (inside if len(inside) else volume).numpy()
    return float(threshold_otsu(chosen))  # type: ignore[no-untyped-call]

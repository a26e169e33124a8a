"""How near the answer is: volumes and latents against the truth, beside references that bound them."""

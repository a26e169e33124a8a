"""What was found: back-projected volumes and masks, the run folder with its latents and poses, and export.

A run holds everything one reconstruction made; its volumes are computed on demand from the latents.
"""

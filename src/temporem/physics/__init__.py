"""How a microscope makes an image: frequency lattice, rotations, CTF, shifts, projection.

Pure functions on tensors; each module states its conventions once: `lattice` (the coefficients of images),
`volumes` (of volumes), `rotations`, `shifts`, `ctf`, and `projection`, which joins them (Eq. 1 and 2).
"""

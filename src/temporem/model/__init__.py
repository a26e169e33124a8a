"""The networks and priors, and the methods put together from them (paper, Sec. 4).

A method is a `methods.DynamicalModel`: a generator G_θ (`fourier_generator`, `anchor_generator`), a feature
extractor (`features`), an encoder (`encoders`) and a prior (`priors`). `subspace` and `smoothing` are its
linear cousin, with an exact posterior; `store` reads and writes generators.
"""

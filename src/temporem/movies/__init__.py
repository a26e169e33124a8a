"""What was seen: movies, the field's files that they are read from and written to, and their preparation.

`reading.read_movies` takes any format and gives a `movie_set.MovieSet`, `writing` writes RELION's, and
`preprocessing.prepare_frames` normalises, crops and turns images into Fourier coefficients.
"""

__all__: list[str] = []

"""The command line: a thin module per verb, and `main`, which runs one and turns failures into sentences."""

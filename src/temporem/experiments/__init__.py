"""The paper's comparisons declared, and the engine that makes them: data sets, runs, figures, results."""

"""Movies whose answer is known: structures and their motions, densities, the microscope, noise and the truth.

`simulate` makes a folder of movies from `SimulationOptions`, of which `recipes` has named ones; `Truth` opens
the answer that lies beside them.
"""

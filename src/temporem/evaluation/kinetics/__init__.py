"""Kinetics from latent trajectories: states, how long they last, how fast they change."""

"""Poses by a network, from nothing or from poses known roughly (paper, Sec. 5.4): hetem, and tempor after it.

`exploring` and `dreaming` are what a `PoseEstimator` learns from before the ELBO alone may teach it.
"""

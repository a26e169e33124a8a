"""Poses that are not known, or not well: refined from those given, or found from nothing.

Everything here is explicit: volumes are back-projections and poses are searched and climbed to, frame by
frame, on the likelihood of the images with their CTF and noise. No network.
"""

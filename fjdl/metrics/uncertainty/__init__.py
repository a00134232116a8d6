"""Confidence intervals, bootstrap, and whether probabilities say how often a prediction is right."""

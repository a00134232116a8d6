"""Scores of a class for every pixel: overlap of regions and of their boundaries."""

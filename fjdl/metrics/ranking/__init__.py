"""Scores of an order: curves over thresholds and the areas below them, precision at ranks, rankings of labels."""

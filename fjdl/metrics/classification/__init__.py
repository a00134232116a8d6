"""Scores of predicted classes and of class probabilities."""

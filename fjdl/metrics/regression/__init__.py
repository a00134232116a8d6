"""Errors of predicted numbers, and how much of the variation they explain."""

"""Scores of token sequences: edit distances, n-gram matches, perplexity."""

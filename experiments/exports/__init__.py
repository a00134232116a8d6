"""What `experiments.export` writes of a run: a program, weights, and a card that says what they are."""

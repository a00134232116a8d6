"""What `experiments.verify` does to runs, a promise a file, and a network that it kills."""

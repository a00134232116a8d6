"""The figures of `experiments.explain`, one function each, by what they ask of a trained classifier of images."""

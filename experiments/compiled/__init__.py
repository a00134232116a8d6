"""Programs compiled ahead of time for TPUs, and what is read off them: the parts of `experiments.tpu`."""

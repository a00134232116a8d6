"""What `experiments.diagnose` and `experiments.overfit` measure, and the findings that follow from a run's files."""

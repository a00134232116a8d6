"""What `experiments.predict` and `experiments.plot` make of a run's answers: a file for each kind of answer."""

"""What `experiments.report` makes beside its table: a figure that compares runs, and a page of HTML."""

"""What `experiments.new` writes: a config for each kind of data, and what it has looked at to choose its numbers."""

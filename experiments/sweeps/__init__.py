"""What `experiments.sweep` is made of: flags as spaces, the rounds of points, trials on devices, records, results."""

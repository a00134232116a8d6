"""What `python -m experiments.bench` times: fjdl beside one peer, a file each."""

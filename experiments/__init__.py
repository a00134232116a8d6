"""Entry points: `python -m experiments.train configs/digits_lenet.py --help`."""

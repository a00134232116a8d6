"""Entry points: `python -m experiments.train configs/digits_lenet.py --help`."""

import sys

if sys.argv[:1] == ["-m"]:  # this is how a command begins; what it imports next takes seconds
    from fjdl.signals import Answer, install

    install(Answer.EXIT)

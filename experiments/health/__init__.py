"""The state of a machine for training: `facts` are gathered from it, `findings` are what follows from them.

`experiments.doctor` prints both.
"""

"""The machine on which something was found, in words."""


def hardware() -> str:
    """As results name it."""
    from fjdl.train.result import hardware
    from fjdl.train.rundir import environment

    return hardware(environment())

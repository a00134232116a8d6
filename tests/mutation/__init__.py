"""Mutants of losses, metrics and optimizers: whether a test notices when one operator or number is another one."""

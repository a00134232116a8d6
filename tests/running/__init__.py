"""How the suite runs: who runs which test, and what its programs share."""

"""How the tests are run: which ones, by which worker, and what they cost."""

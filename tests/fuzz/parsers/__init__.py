"""The readers of files under random bytes: a table of all, mutated files by day, and guided by coverage at night."""

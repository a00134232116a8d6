"""Launches: slices, jobs, the commands of each control plane beside recorded ones, and what --yes runs."""

"""Convolutions in one, two and three dimensions, their gradients, and other algorithms with the same result."""

from fjdl.functional.conv.conv2d import conv2d

__all__ = ["conv2d"]

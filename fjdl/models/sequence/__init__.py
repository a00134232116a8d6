"""Models of sequences: what goes on with a text, classes of texts, one sequence from another.

May import what `fjdl.models` may.
"""

from fjdl.models.sequence.language_model import LSTMLanguageModel

__all__ = ["LSTMLanguageModel"]

"""Texts: vocabularies, tokenizers, formats, windows, and what learns and uses vectors of words.

A text is cut into tokens by a `Tokenizer`, which a `Vocabulary` numbers; a `Coder` is both. Rows of numbers are int32
and carry an int32 length. May import floor 0 and `fjdl.data`.

>>> from fjdl.data import text
>>> coder = text.Coder(text.WORDS, text.build_vocabulary(text.split_words("to be or not to be")))
>>> coder.encode("to be, or").tolist()
[4, 5, 0, 6]
>>> text.encode_texts(coder, ["to be", "or"])[0].tolist()
[[4, 5], [6, 1]]
"""

from fjdl.data.text.byte_pairs import BytePairs, load_byte_pairs, save_byte_pairs, train_byte_pairs
from fjdl.data.text.coder import Coder, TextSplits
from fjdl.data.text.cooccurrence import Cooccurrences, count_cooccurrences
from fjdl.data.text.features import (
    character_ngrams,
    hash_features,
    inverse_document_frequencies,
    mark_negation,
    tf_idf,
    word_ngrams,
)
from fjdl.data.text.formats import Labelled, read_csv, read_labelled_lines, read_parallel, read_tsv
from fjdl.data.text.lines import iterate_lines, read_lines, read_text
from fjdl.data.text.nearest import analogy, analogy_accuracy, multiplicative_analogy, nearest_words
from fjdl.data.text.noise import NoiseTable, draw_noise, noise_probabilities, noise_table
from fjdl.data.text.padding import encode_texts, padded
from fjdl.data.text.pairs import cbow_windows, keep_probabilities, skipgram_pairs, subsample
from fjdl.data.text.tokenizers import (
    CHARACTERS,
    LINES,
    LOWERCASE_WORDS,
    WHITESPACE,
    WORDS,
    Tokenizer,
    join_words,
    split_words,
)
from fjdl.data.text.vectors import (
    WordVectors,
    embedding_table,
    read_glove,
    read_word2vec_binary,
    read_word2vec_text,
    write_word2vec_text,
)
from fjdl.data.text.vocabulary import (
    NO_SPECIALS,
    SPECIALS,
    Specials,
    Vocabulary,
    build_vocabulary,
    load_vocabulary,
    save_vocabulary,
    token_counts,
)
from fjdl.data.text.windows import context_window, next_token_windows, window_count

__all__ = [
    "CHARACTERS", "LINES", "LOWERCASE_WORDS", "NO_SPECIALS", "SPECIALS", "WHITESPACE", "WORDS", "BytePairs", "Coder",
    "Cooccurrences", "Labelled", "NoiseTable", "Specials", "TextSplits", "Tokenizer", "Vocabulary", "WordVectors",
    "analogy", "analogy_accuracy", "build_vocabulary", "cbow_windows", "character_ngrams", "context_window",
    "count_cooccurrences", "draw_noise", "embedding_table", "encode_texts", "hash_features",
    "inverse_document_frequencies", "iterate_lines", "join_words", "keep_probabilities", "load_byte_pairs",
    "load_vocabulary", "mark_negation", "multiplicative_analogy", "nearest_words", "next_token_windows",
    "noise_probabilities", "noise_table", "padded", "read_csv", "read_glove", "read_labelled_lines", "read_lines",
    "read_parallel", "read_text", "read_tsv", "read_word2vec_binary", "read_word2vec_text", "save_byte_pairs",
    "save_vocabulary", "skipgram_pairs", "split_words", "subsample", "tf_idf", "token_counts", "train_byte_pairs",
    "window_count", "word_ngrams", "write_word2vec_text",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__

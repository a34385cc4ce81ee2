"""Flesch reading ease, as py-readability-metrics 1.4.5 measures it (it is what was recorded).

    206.835 - 1.015 * words / sentences - 84.6 * syllables / words        (Flesch 1948)

Words are those of NLTK's TweetTokenizer but for single punctuation marks, sentences those of
Punkt's English model, syllables are counted by that package's rule. Below 100 words it does not
measure.
"""

import re

FEWEST_WORDS = 100
_PUNCTUATION = frozenset(".,/#!$%'^&*;:{}=-_`~()")
_SILENT = re.compile(r"(?:[^laeiouy]es|[^laeiouy]e)$")
_VOWELS = re.compile("[aeiouy]{1,2}")
_SHORT = 3


def reading_ease(text: str) -> float | None:
    """From about 0 (hard) to 100 (easy); None for fewer than FEWEST_WORDS words."""
    # A quarter of a second to load, needed by the commands that look at rationales only.
    import punkt
    from nltk.tokenize.casual import TweetTokenizer

    tokens = TweetTokenizer().tokenize(text)
    words = [token for token in tokens if token not in _PUNCTUATION]
    if len(words) < FEWEST_WORDS:
        return None
    n_syllables = sum(map(syllables, words))
    n_sentences = len(punkt.sent_tokenize(text))
    return 206.835 - 1.015 * len(words) / n_sentences - 84.6 * n_syllables / len(words)


def syllables(word: str) -> int:
    """How many syllables a word has, by its groups of vowels."""
    word = word.lower()
    if len(word) <= _SHORT:
        return 1
    return len(_VOWELS.findall(_SILENT.sub("", word).removeprefix("y")))

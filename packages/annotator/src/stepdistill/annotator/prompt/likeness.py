"""How alike two prompts are, word by word: whoever pays for prompts wants no idea twice."""

import re
from collections import Counter
from difflib import SequenceMatcher

from stepdistill.annotator.prompt.template import Template

# Two templates of which so many words agree, in order, are likely to be one and a half ideas.
ALIKE = 0.95
_WORD = re.compile(r"[\w{}]+")

Words = tuple[str, ...]


def words_of(template: Template) -> Words:
    """What a template says, without case, punctuation and spacing."""
    return tuple(_WORD.findall(f"{template.system}\n{template.user}".casefold()))


def likeness(one: Words, other: Words) -> float:
    """2 x words in common / all words; 0 as soon as a cheap upper bound is below ALIKE."""
    common = (Counter(one) & Counter(other)).total()
    if 2 * common < ALIKE * (len(one) + len(other)):
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()

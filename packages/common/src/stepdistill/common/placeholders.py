"""Placeholders: `{question}` in a prompt or a student's input stands for the field of that name.

A field's name is a letter (of any alphabet) or `_`, then letters, digits and `_`. In templates a
field may also go by its path, `{content.text}` or `{choices[0]}`. All other braces are text: the
JSON of `{"label": ...}`, a regex's `\\d{2}`, `{}`, `{two words}`.
"""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from functools import lru_cache

from stepdistill.common.free_name import free_name

PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")  # `{question}`, `{choice_2}`, `{größe}`; not `{2}`


# `{content.text}`, `{choices[0]}`; not `{3.5}` or `{a. b}`
_PATH = re.compile(r"\{([^\W\d]\w*(?:\.\w+|\[\d+\])+)\}")


def is_name(text: str) -> bool:
    """Whether a field may be called this, so that a placeholder can name it."""
    return PLACEHOLDER.fullmatch(f"{{{text}}}") is not None


def named(columns: Iterable[str]) -> dict[str, str]:
    """placeholder -> column: `Customer's text` is `{Customer_s_text}`, whatever a file calls it.

    >>> named(["Customer's text", "content.text", "2nd", "content text"])["content_text_2"]
    'content text'
    """
    found: dict[str, str] = {}
    for column in columns:
        plain = re.sub(r"\W+", "_", column).strip("_") or "text"
        plain = plain if is_name(plain) else f"_{plain}"  # it begins with a digit
        found[free_name(plain, found)] = column
    return found


def placeholders(text: str) -> Counter[str]:
    """How often each placeholder stands in a text, in the order in which they first appear."""
    return Counter(PLACEHOLDER.findall(text))


def unknown_placeholders(text: str, known: Container[str]) -> list[str]:
    """The placeholders of a text that are not among the known names, in order."""
    return [name for name in placeholders(text) if name not in known]


def has_paths(text: str) -> bool:
    """Whether a text has something in braces that may be the path of a field."""
    return _PATH.search(text) is not None


def with_names(text: str, fields: Mapping[str, str]) -> str:
    """A text in which fields that are called by their paths go by their names; other braces stay.

    Raises LookupError: within a value that fields come from, a path is named that none has.

    >>> with_names("{content.text} {obj.method}", {"content_text": "content.text"})
    '{content_text} {obj.method}'
    """
    names = {path: name for name, path in fields.items()}
    roots = {re.split(r"[.\[]", path)[0] for path in names}

    def named(found: re.Match[str]) -> str:
        path = found[1]
        if path not in names and re.split(r"[.\[]", path)[0] in roots:
            raise LookupError(path)
        return f"{{{names[path]}}}" if path in names else found[0]

    return _PATH.sub(named, text)


@lru_cache(1024)  # a run has few texts to fill and many rows to fill them with
def filler(text: str) -> Callable[[Mapping[str, str]], str]:
    """What fills a text's placeholders from a row's fields; it raises KeyError where one lacks.

    It fills in one pass, so braces inside a value stay as they are.

    >>> filler('{question} {hint} {"a": 1}')({"question": "{hint}?", "hint": "none"})
    '{hint}? none {"a": 1}'
    """
    # An odd piece is a name, an even one is the text between two names, whose braces are doubled:
    # str.format_map then fills all names in one call of C, faster than re.sub with a function.
    pieces = PLACEHOLDER.split(text)
    pieces[::2] = [piece.replace("{", "{{").replace("}", "}}") for piece in pieces[::2]]
    pieces[1::2] = [f"{{{name}}}" for name in pieces[1::2]]
    return "".join(pieces).format_map

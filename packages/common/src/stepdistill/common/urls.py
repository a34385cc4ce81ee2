"""URLs: which names are one, and what of one may be shown to people and written down."""

import re

# `https:`, `s3:`, and chains as fsspec has them: `zip://rows.csv::https:`, `simplecache::s3:`
_URL = re.compile(r"(?:[a-zA-Z][\w+.-]*::)*[a-zA-Z][\w+.-]*://")
_CHAIN = re.compile(r"::(?=[a-zA-Z][\w+.-]*(?:::|://))")  # not that of `http://[::1]/`
# `someone:word@`; a word with `/`, `?` or `#` in it, too, as no port looks like it: `a:b/c@`. Where
# nobody is named an `@` is of the path: `https://host/rows@2/train.csv`.
_USER = re.compile(r"(?<=://)(?:[^/?#]*@(?:[^?#]*@)?|[^/?#@\[]*:(?!\d*(?:[/?#]|$)).*@)", re.DOTALL)
_WEB = re.compile(r"(?i)https?:")
_IN_TEXT = re.compile(_URL.pattern + r"\S*")


def is_url(name: str) -> bool:
    """Whether this names a file elsewhere, and no path of this machine."""
    return _URL.match(name) is not None


def links(url: str) -> list[str]:
    """The URLs of a chain, `zip://rows.csv` and `https://host/rows.zip`; the URL itself if none."""
    return _CHAIN.split(url)


def without_secrets(url: str) -> str:
    """A URL without user, password and query: as it may be written down. Raises nothing, though
    what is given be no URL."""
    return "::".join(map(_without_secrets, links(url)))


def _without_secrets(url: str) -> str:
    if "://" not in url:  # the scheme was forgotten, or is all
        return url.rpartition("@")[2].partition("?")[0]
    # Files elsewhere may have a `#` in their names.
    end = r"[?#].*" if _WEB.match(url) else r"\?.*"
    return re.sub(end, "", _USER.sub("", url), flags=re.DOTALL)


def shown(name: str) -> str:
    """A file's name for people and files: a URL without secrets, a path as it is."""
    return without_secrets(name) if is_url(name) else name


def text_without_secrets(text: str) -> str:
    """Somebody else's message, which may quote URLs."""
    return _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)

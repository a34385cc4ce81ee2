"""URLs: which names are one, and what of one may be shown to people and written down.

What an option names is a place: a path of this machine, or a URL. What is done with one elsewhere
is in `files/storage.py`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

# `https:`, `s3:`, and chains as fsspec has them: `zip://rows.csv::https:`, `simplecache::s3:`
_URL = re.compile(r"(?:[a-zA-Z][\w+.-]*::)*[a-zA-Z][\w+.-]*://")
_CHAIN = re.compile(r"::(?=[a-zA-Z][\w+.-]*(?:::|://))")  # not that of `http://[::1]/`
# `someone:word@`; a word with `/`, `?` or `#` in it, too, as no port looks like it: `a:b/c@`. Where
# nobody is named an `@` is of the path: `https://host/rows@2/train.csv`.
_USER = re.compile(r"(?<=://)(?:[^/?#]*@(?:[^?#]*@)?|[^/?#@\[]*:(?!\d*(?:[/?#]|$)).*@)", re.DOTALL)
_WEB = re.compile(r"(?i)https?:")
_IN_TEXT = re.compile(_URL.pattern + r"\S*")
_LOCAL = re.compile(r"(?:file|local)://")


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """The place of a file or a folder elsewhere. As text it is without what may be secret.

    address: the whole of it, user, password and query included, which nobody is shown.
    """

    address: str

    def __truediv__(self, name: str | Path) -> "Url":
        """A file or folder within this folder: of a chain, within the innermost."""
        first, *others = links(self.address)
        start, mark, query = first.partition("?") if _WEB.match(first) else (first, "", "")
        return Url("::".join([f"{start.rstrip('/')}/{name}{mark}{query}", *others]))

    def __str__(self) -> str:
        return without_secrets(self.address)

    def __repr__(self) -> str:  # which tracebacks and logs show
        return f"Url({str(self)!r})"

    @property
    def scheme(self) -> str:
        """What stands before `://`, of a chain's first: `s3`."""
        return self.address.partition("://")[0].rpartition("::")[2].lower()

    @property
    def name(self) -> str:
        """The last part of its path."""
        return links(str(self))[0].rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> "Url":
        """The folder that it lies in; a bucket is its own."""
        first, *others = links(self.address)
        start, slashes, path = first.partition("://")
        above = path.rstrip("/").rpartition("/")[0] or path
        return Url("::".join([f"{start}{slashes}{above}", *others]))


Place = Path | Url
"""Where a file or folder is: on this machine or elsewhere."""


def place_of(name: "str | Place") -> "Place":
    """The place that a word names; `file://` is this machine, too."""
    if isinstance(name, Path | Url):
        return name
    if not is_url(name):
        return Path(name)
    if "::" not in name and (local := _LOCAL.match(name)):
        return Path(name[local.end() :])
    return Url(name.rstrip("/") if not name.endswith("://") else name)


def kept_place(place: Place) -> Place:
    """A place as it is written down: from any folder, and without what may be secret."""
    return Url(str(place)) if isinstance(place, Url) else place.absolute()


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

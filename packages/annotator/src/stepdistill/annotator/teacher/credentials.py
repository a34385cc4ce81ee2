"""Which key goes to whom: OpenAI's to OpenAI; other hosts get the one that is named for them.

api.openai.com       OPENAI_API_KEY
api.groq.com         GROQ_API_KEY, or TEACHER_API_KEY, or OPENAI_API_KEY with a warning
gpu-3, 10.0.0.7      TEACHER_API_KEY, or OPENAI_API_KEY
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from stepdistill.annotator.settings.teacher import read_key
from stepdistill.annotator.teacher.spec import TeacherSpec

_OPENAI, _ANY = "OPENAI_API_KEY", "TEACHER_API_KEY"
_NEAR = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
# Endings of two parts, before which a host's own name stands: ac.uk, com.au, co.jp
_SECOND_LEVEL = {"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"}


def key_for(base_url: str) -> tuple[str, SecretStr | None]:
    """The key for an address, and the name it was found under in the environment or `.env`; without
    one, the name that it would best have."""
    names = _names(urlsplit(base_url).hostname or "")
    for name in names:
        if (key := read_key(name)) is not None:
            return name, key
    return names[0], None


def credential_remarks(teacher: TeacherSpec) -> Iterator[str]:
    """What a person should know of who gets which secret."""
    address = urlsplit(teacher.base_url)
    host, has_password = address.hostname or "", bool(address.username or address.password)
    if has_password and teacher.api_key is not None:
        yield f"user and password of --base-url are sent to {host}, and {teacher.key_name} is not"
    if _is_near(host) or not teacher.headers:
        return
    what = "user and password" if has_password else teacher.key_name
    if what == _OPENAI and not _is_openai(host):
        named = _names(host)[0]
        yield f"{_OPENAI} is sent to {host}: a key for it goes before, as {named}=... in .env"
    if address.scheme == "http":
        yield f"{what} and all that is asked go to {host} unencrypted: has it an https:// address?"


def _names(host: str) -> tuple[str, ...]:
    """Where a host's key is looked for, the best first."""
    if _is_openai(host):
        return (_OPENAI,)
    parts = [] if _is_near(host) else host.split(".")
    if len(parts) > 2 and parts[-2] in _SECOND_LEVEL:
        parts.pop()
    own = re.sub(r"\W|-", "_", parts[-2]).upper() if len(parts) > 1 else ""
    own_name = f"{own}_API_KEY"
    return (own_name, _ANY, _OPENAI) if own and own_name != _OPENAI else (_ANY, _OPENAI)


def _is_openai(host: str) -> bool:
    return host == "openai.com" or host.endswith(".openai.com")


def _is_near(host: str) -> bool:
    """Whether it is this machine, or on a private network."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_NEAR)

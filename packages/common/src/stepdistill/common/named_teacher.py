"""A teacher by its name: a model, and behind an @ each its effort, its tier and its addresses.

gpt-x                                      as --teacher has it
anthropic:claude-x@effort=low@flex         with an effort, at a tier
gpt-x@batch                                at the price of batches
small@http://gpu-1:8000/v1                 at an address; several of them: each behind an @
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, cast, get_args

from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import without_secrets

Tier = Literal["flex", "priority", "default"]
Service = Literal["flex", "priority", "default", "batch"]
_TIERS: tuple[str, ...] = get_args(Tier)
_SERVICES: tuple[str, ...] = get_args(Service)
# Model names have an @ of their own (claude-x@20250929), and so have addresses: it parts only where
# something stands behind it that is known.
_PARTS = re.compile(rf"@(?=https?://|\w+=|(?:{'|'.join(_SERVICES)})(?:@|$))")
_VERSION = re.compile(r"@([a-z]+)$")  # @flexx, but not @20250929
_ALIKE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTeacher:
    """A teacher, as it is named."""

    teacher: str  # as --teacher has it
    effort: str | None = None  # as --effort has it; None: as for all
    service: Service | None = None  # a tier, or batches; None: as for all
    addresses: tuple[str, ...] = ()  # as --base-url has them; empty: as for all

    @property
    def name(self) -> str:
        """How it is called beside others; without addresses."""
        effort = f"@effort={self.effort}" if self.effort else ""
        return f"{self.teacher}{effort}{f'@{self.service}' if self.service else ''}"

    @property
    def tier(self) -> Tier | None:
        """The tier that is asked for; None: as for all."""
        return cast(Tier, self.service) if self.service in _TIERS else None

    @property
    def is_batch(self) -> bool:
        """Whether it is bought through the Batch API."""
        return self.service == "batch"

    @property
    def has_secrets(self) -> bool:
        """Whether an address of its has a password."""
        return any(without_secrets(url) != url for url in self.addresses)

    @property
    def spelled(self) -> str:
        """The word that names it, with all that is known of it."""
        return "@".join((self.name, *self.addresses))

    @property
    def options(self) -> list[str]:
        """The options of `annotate run` that say the same."""
        words = ["--teacher", self.teacher]
        words += [word for url in self.addresses for word in ("--base-url", url)]
        words += ["--effort", self.effort] if self.effort else []
        words += ["--tier", self.tier] if self.tier else []
        return [*words, "--batch-api"] if self.is_batch else words


def named_teachers(words: Sequence[str], option: str = "--teachers") -> tuple[NamedTeacher, ...]:
    """The teachers that these words name, each once. option: that has them. Raises ConfigError:
    what is wrong with one."""
    return tuple(dict.fromkeys(_named(word, option) for word in words))


def _named(word: str, option: str) -> NamedTeacher:
    shown = f"{option} {_shown(word)}"
    teacher, *parts = _PARTS.split(word)
    if not teacher:
        raise ConfigError(f"{shown}: a model is missing before the @")
    if (version := _VERSION.search(teacher)) and get_close_matches(
        version[1], _SERVICES, 1, _ALIKE
    ):
        raise ConfigError(f"{shown}: after an @ stand {', '.join(_SERVICES)}, effort=... or a URL")
    efforts, services, addresses = list[str](), list[str](), list[str]()
    for part in parts:
        key, equals, value = part.partition("=")
        if part.startswith(("http://", "https://")):
            addresses.append(part)
        elif key == "effort" and value:
            efforts.append(value)
        elif key == "tier" and value in _TIERS:
            services.append(value)
        elif not equals:
            services.append(part)
        else:
            raise ConfigError(f"{shown}: @{part}: write @effort=low, @flex, @batch or @http://...")
    if len(efforts) > 1 or len(services) > 1:
        raise ConfigError(f"{shown}: one effort and one tier: name the teacher again for another")
    return NamedTeacher(
        teacher=teacher,
        effort=efforts[0] if efforts else None,
        service=cast(Service, services[0]) if services else None,
        addresses=tuple(addresses),
    )


def _shown(word: str) -> str:
    return "@".join(
        without_secrets(part) if part.startswith("http") else part for part in _PARTS.split(word)
    )

"""The dialects by name."""

from collections.abc import Mapping

from stepdistill.annotator.provider.profile import DialectName
from stepdistill.annotator.teacher.dialects.chat import ChatDialect
from stepdistill.annotator.teacher.dialects.dialect import Dialect
from stepdistill.common.errors import ConfigError

DIALECTS: Mapping[DialectName, Dialect] = {"chat": ChatDialect()}


def dialect_of(name: DialectName) -> Dialect:
    """The dialect of this name. Raises ConfigError: nobody here speaks it."""
    if name not in DIALECTS:
        raise ConfigError(f"the dialect {name} is not spoken here")
    return DIALECTS[name]

"""The errors that end a run with one clear line.

    DistillError                exit code 2 unless said otherwise
      ConfigError               a setting or a config file is wrong
      DatasetError              the rows cannot be read
      PromptError               a task, template or mix is wrong
      StoreError                the response store cannot be used
      ShardError                a shard or manifest is missing, damaged or unwritable

Every message says what is wrong, where, and what to do about it.
"""


class DistillError(Exception):
    """A run cannot go on; str(error) is the one line that the user reads."""

    exit_code = 2


class ConfigError(DistillError):
    """A setting, an option or a config file is wrong."""


class DatasetError(DistillError):
    """The rows cannot be found or read."""


class PromptError(DistillError):
    """A task, a template or a mix is wrong."""


class StoreError(DistillError):
    """The response store cannot be used."""


class ShardError(DistillError):
    """A shard or its manifest is missing, damaged or cannot be written."""

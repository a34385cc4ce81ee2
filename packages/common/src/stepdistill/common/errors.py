"""The errors that end a run with one clear line.

    DistillError                exit code 2 unless said otherwise
      ConfigError               a setting or a config file is wrong
      DatasetError              the rows cannot be read
      PromptError               a task, template or mix is wrong
      StoreError                the response store cannot be used
      ShardError                a shard or manifest is missing, damaged or unwritable
      StorageError              what is at a URL cannot be read or written
        NothingThere            there is no such file
        StorageRefused          somebody may not do that there, or nobody can
        StorageUnreachable      exit code 3: it may go well another time

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


class StorageError(DistillError):
    """What is at a URL cannot be read or written."""


class NothingThere(StorageError):
    """There is no file at a URL, as far as one may know."""


class StorageRefused(StorageError):
    """What holds a URL does not let this be done, or cannot."""


class StorageUnreachable(StorageError):
    """What holds a URL did not answer, or failed, again and again."""

    exit_code = 3

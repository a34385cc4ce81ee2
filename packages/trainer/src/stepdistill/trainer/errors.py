"""What can end a training run with one clear line, beside the errors of `common`.

DistillError             common/errors.py, exit code 2
  StudentError           the model or its tokenizer cannot be had or used
  TrainingError          training went wrong: the loss is not finite, the device is too small
  Stopped                somebody asked the run to stop; it goes on from there, exit code 130
"""

from stepdistill.common.errors import DistillError


class StudentError(DistillError):
    """The student or its tokenizer cannot be had, or is of a kind that cannot be trained here."""


class TrainingError(DistillError):
    """Training cannot go on."""


class Stopped(DistillError):
    """The run was asked to stop, and is saved."""

    exit_code = 130

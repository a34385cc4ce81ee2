"""What using a student takes beside its weights: `stepdistill.json` in the model's folder."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.task import LabelSpec, StudentSpec
from stepdistill.trainer.errors import StudentError
from stepdistill.trainer.settings.tasks import Table, judged

USE_NAME = "stepdistill.json"


class InferenceSettings(BaseModel):
    """How the student was asked when it learnt.

    prefix: before an input, to get the label. explain_prefix: to get the rationale; None: it has
    not learnt to give one. with_label: one answer holds both, label first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    label: LabelSpec
    student: StudentSpec
    prefix: str
    explain_prefix: str | None
    with_label: bool
    max_input_tokens: int
    max_target_tokens: int


def use_of(table: Table, task: str, label: LabelSpec, student: StudentSpec) -> InferenceSettings:
    """How a student that learnt this table is to be asked. Limits are T5's usual ones."""
    asked = judged(table)
    reasons = (one.prefix for one in table if one.target == "rationale")
    return InferenceSettings(
        task=task,
        label=label,
        student=student,
        prefix=asked.prefix,
        explain_prefix=next(reasons, None),
        with_label=asked.target == "label-rationale",
        max_input_tokens=512,
        max_target_tokens=256,
    )


def read_use(folder: Path) -> InferenceSettings:
    """Raises StudentError where the folder is no student of ours."""
    path = folder / USE_NAME
    try:
        return InferenceSettings.model_validate_json(path.read_bytes())
    except OSError:
        raise StudentError(
            f"{path}: not there: name the folder `model` of a finished training run"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise StudentError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

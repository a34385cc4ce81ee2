"""The rule that `stepdistill cascade` found: `cascade.json`, within the folder of the model."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import NamedTeacher, named_teachers
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.cascade.drift import Reference
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.settings.cascade import CASCADE_NAME, Promise


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Guarantee(_Part):
    """What is promised, and by which rows. Shares are fractions, 0..1."""

    promise: Promise  # of which answers: all, or those that the student gives itself
    target: float  # share of them that is right at least
    risk: float  # chance that it is not, by an unlucky draw of the validation rows
    right_is: Literal["gold", "teacher"]  # what counts as right: gold labels, the teacher's
    rows: int  # of the test
    wrong: int  # answers to them that were wrong
    p_value: float  # of the test of the threshold
    level: float  # of each test: the risk, shared among the looks
    looks: int  # validations among which the student was chosen by these very rows; 1: none
    tuning_rows: int  # others, for temperature and order of tests
    unlabelled: int  # validation rows that the teacher gave no label for


class Cost(_Part):
    """What answers cost, in US dollars for 1,000 rows; None: nobody knows."""

    usd_per_1000: float | None  # of the cascade: the teacher's share of them
    teacher_usd_per_1000: float | None  # if the teacher answered all


class CascadeRule(_Part):
    """The content of `cascade.json`."""

    version: Literal[1] = 1
    model: str  # sha256 of the student's files: another student has another rule
    task: str
    teacher: str  # as given to --teacher
    threshold: float  # the student answers where its confidence is no less; above 1: nowhere
    temperature: float
    deferred: float  # share of the validation rows, 0..1
    guarantee: Guarantee
    cost: Cost
    template: str | None  # that asked the validation rows; None: several did
    votes: int  # answers that each of their labels was elected by
    prompts: str  # sha256 of mix, templates and model options, as in the manifest
    split: str  # of the validation rows, for messages
    reference: Reference  # what the validation rows were like, for the drift alarm
    remarks: list[str] = Field(default_factory=list)

    @property
    def named_teacher(self) -> NamedTeacher:
        """Who is asked."""
        return named_teachers([self.teacher])[0]

    def write(self, folder: Path) -> None:
        """Put it into the model's folder. Raises ConfigError."""
        with refused(folder / CASCADE_NAME):
            write_whole(folder / CASCADE_NAME, f"{self.model_dump_json(indent=2)}\n".encode())


def read_rule(folder: Path) -> CascadeRule:
    """The rule of a model. Raises ConfigError: there is none, or it cannot be read."""
    path = folder / CASCADE_NAME
    try:
        return CascadeRule.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(
            f"--defer: {path} is not there: find out first when to ask the teacher, by "
            f"stepdistill cascade {folder} --teacher TEACHER --target 0.95"
        ) from None
    except ValidationError as error:
        raise ConfigError(
            f"{path}: {first_problem(error)}: run stepdistill cascade again"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None

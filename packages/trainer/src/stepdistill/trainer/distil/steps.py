"""The steps of a distil as commands: each can be repeated by hand, as it is shown."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from stepdistill.common.manifest import MANIFEST_NAME
from stepdistill.common.named_teacher import NamedTeacher
from stepdistill.trainer.settings.cascade import CASCADE_NAME
from stepdistill.trainer.settings.distil import DistilSettings
from stepdistill.trainer.settings.train import MODEL_NAME, RESULTS_NAME, TrainSettings

SPLITS = ("train", "valid", "test")
_ROWS_A_STEP = 32  # as `train` takes by default
_PASSES, _FEWEST_STEPS, _MOST_STEPS = 20, 200, 10_000
_VALIDATIONS = 5
SPEED_STEPS = 8
# What says which labels of which rows are learnt, how often and by whose weight.
_ALIKE = ("labels", "subsample", "valid_share", "max_input_tokens", "row_weight", "soft_labels",
          "batch_size", "seed")  # fmt: skip
_WIDTH = 74  # of a line of a command, with what stands before and behind it below 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the way."""

    name: str
    about: str  # what it does, for people
    words: tuple[str, ...]
    inputs: tuple[Path, ...]  # files and folders whose content it works on
    products: tuple[Path, ...]  # files that are there when it is done

    @property
    def shown(self) -> str:
        """The command as a shell takes it, in lines that a terminal holds."""
        lines = [""]
        for word in map(shlex.quote, self.words):
            if lines[-1] and len(lines[-1]) + len(word) > _WIDTH:
                lines.append("   ")
            lines[-1] += f" {word}" if lines[-1] else word
        return " \\\n".join(lines)


@dataclass(frozen=True, slots=True)
class OutLayout:
    """Where things lie in --out."""

    out: Path
    task: str

    @property
    def prompts(self) -> Path:
        """The folder of the one task."""
        return self.out / "prompts"

    @property
    def data(self) -> Path:
        """The rows in their splits."""
        return self.out / "data"

    @property
    def shards(self) -> Path:
        """What the teacher said, by split."""
        return self.out / "shards"

    @property
    def student(self) -> Path:
        """The output of training."""
        return self.out / "student"

    @property
    def baseline(self) -> Path:
        """The output of the classifier's training."""
        return self.out / "classifier"

    @property
    def speed(self) -> Path:
        """The output of the few steps that tell how long training takes."""
        return self.out / "speed"

    @property
    def frontier(self) -> Path:
        """The picture of what accuracy costs."""
        return self.out / "frontier.svg"

    @property
    def evaluation(self) -> Path:
        """The figures of `evaluate`."""
        return self.out / "evaluation.json"

    @property
    def ranking(self) -> Path:
        """The experiment's own page."""
        return self.out / "experiment.html"

    @property
    def page(self) -> Path:
        """The page at the end."""
        return self.out / "index.html"


class Steps:
    """Makes the commands of one distil."""

    def __init__(self, settings: DistilSettings) -> None:
        self._settings = settings
        self.layout = OutLayout(settings.out, settings.task)

    def new(self) -> Step:
        """The file becomes a task."""
        s, at = self._settings, self.layout
        words = ["annotate", "new", at.task, str(s.file)]
        words += _repeated("--label", s.label) + _repeated("--text", s.text)
        words += _given("--labels", ",".join(s.labels)) + _given("--id", s.id)
        words += ["--unlabelled"] * s.unlabelled
        words += ["--prompts", str(at.prompts), "--data-out", str(at.data), "--yes", "--json"]
        return Step(
            name="new",
            about="a task out of the file",
            words=tuple(words),
            inputs=(s.file,),
            products=(at.prompts / at.task / "mixes" / "default.yaml",),
        )

    def estimate(self, splits: Sequence[str], teacher: NamedTeacher | None = None) -> Step:
        """What it would cost. teacher: one of several."""
        words = [*self._annotate("estimate"), *_without_batches(self._teacher(teacher))]
        words += ["--split", ",".join(splits), "--templates", "all"]
        words += ["--out", str(self.layout.shards), "--json"]
        return self._asking("estimate", "what it will cost", words, ())

    def experiment(self, max_cost: str | None = None, n_rows: int | None = None) -> Step:
        """Which template is best, and of several teachers which one to buy. n_rows: that each is
        tried on, instead of as many as --test-size says."""
        at, s = self.layout, self._settings
        several = ["--teachers", s.teacher, *_given("--worth", s.point_worth)]
        words = [*self._annotate("experiment")]
        words += several if s.has_several_teachers else _without_batches(self._teacher())
        words += _given("--test-size", n_rows or s.test_size)
        words += ["--race", *_given("--max-cost", max_cost)]
        words += ["--metadata", str(at.out / "experiment.yaml"), "--html", str(at.ranking)]
        words += ["--json"]
        who = "teachers and templates" if s.has_several_teachers else "the templates"
        return self._asking("experiment", f"{who} against each other", words, (at.ranking,))

    def run(
        self,
        splits: Sequence[str],
        template: str | None,
        teacher: NamedTeacher | None = None,
        bounds: Sequence[str] | None = None,
    ) -> Step:
        """Labels and reasons for every row. teacher: that is bought, of several; bounds: on what is
        bought of it, where it is not --max-cost alone."""
        s, shards = self._settings, self.layout.shards
        words = [*self._annotate("run"), *self._teacher(teacher), *_given("--template", template)]
        words += ["--split", ",".join(splits)]
        words += _given("--max-cost", s.max_cost) if bounds is None else bounds
        words += _given("--rationale-rate", s.rationale_rate)
        words += ["--out", str(shards), *_given("--config", s.run_config), "--json"]
        made = tuple(shards / split / MANIFEST_NAME for split in splits)
        return self._asking("run", "labels and reasons for every row", words, made)

    @property
    def info_words(self) -> tuple[str, ...]:
        """The command that says what was spent."""
        return ("annotate", "store", "info", *_given("--store", self._settings.store), "--json")

    def what_if(self) -> Step:
        """What more votes and other templates would have brought. Nobody is asked."""
        at, s = self.layout, self._settings
        words = ["annotate", "what-if", at.task, "--prompts", str(at.prompts), "--data"]
        words += [str(at.data), *_given("--store", s.store), "--out", str(at.shards), "--json"]
        step = self._asking("what-if", "what was not bought", words, ())
        return replace(step, inputs=(*step.inputs, *self._manifests(SPLITS)))

    def speed(self, splits: Sequence[str], n_rows: int) -> Step:
        """A few steps of the training, by which it is known how many the money is enough for."""
        student = self._settings.student
        words = self._training(student, splits, n_rows, SPEED_STEPS, looks=1)
        return Step(
            name="speed",
            about="how long training takes, by a few steps",
            words=(*words, "--output", str(self.layout.speed), *self._train_config),
            inputs=(*self._manifests(splits), *_paths(self._settings.train_config)),
            products=(self.layout.speed / RESULTS_NAME,),
        )

    def cascade(self, teacher: NamedTeacher, target: float) -> Step:
        """When the student is to ask its teacher, so that the target is kept."""
        at, s = self.layout, self._settings
        model = at.student / MODEL_NAME
        asked = replace(teacher, service=teacher.tier)  # and not in batches
        asked = replace(asked, addresses=()) if asked.has_secrets else asked
        words = ["stepdistill", "cascade", str(model), "--teacher", asked.spelled]
        words += ["--target", f"{target:g}", *_given("--risk", s.risk)]
        return Step(
            name="cascade",
            about="when the student asks its teacher, so that the target is kept",
            words=(*words, "--valid", str(at.shards / "valid"), "--quiet", "--json"),
            inputs=(at.student / RESULTS_NAME, at.shards / "valid" / MANIFEST_NAME),
            products=(model / CASCADE_NAME,),
        )

    def used(self, teacher: NamedTeacher | None) -> list[list[str]]:
        """How the student is used: on a file, and served. teacher: that it asks by the rule of
        `cascade`; None: it answers alone."""
        s, at = self._settings, self.layout
        model, defer = str(at.student / MODEL_NAME), list[str]()
        if teacher is not None:
            defer = ["--defer", "--prompts", str(at.prompts), *_given("--store", s.store)]
            defer += ["--base-url", "URL"] if teacher.has_secrets else []
            defer += _given("--run-config", s.run_config)
        return [
            ["stepdistill", "predict", model, "FILE", "--to", "OUT.csv", "--explain", *defer],
            ["stepdistill", "serve", model, "--port", "8093", *defer],
        ]

    def train(self, splits: Sequence[str], n_rows: int, steps: int | None = None) -> Step:
        """A student that learns them. splits: that have records; n_rows: to learn from; steps:
        instead of as many as the rows or --steps say."""
        s, output = self._settings, self.layout.student
        words = [*self._training(s.student, splits, n_rows, steps), "--output", str(output)]
        return Step(
            name="train",
            about="a student that learns to predict and to explain",
            words=(*words, *self._train_config),
            inputs=(*self._manifests(splits), *_paths(s.train_config)),
            products=(output / RESULTS_NAME, output / MODEL_NAME / "config.json"),
        )

    def baseline(self, splits: Sequence[str], n_rows: int, config: Mapping[str, object]) -> Step:
        """A classifier that learns the labels alone; as `train`. config: of the student's training,
        whatever --train-config said."""
        base, output = self._settings.baseline, self.layout.baseline
        assert base is not None
        words = self._training(base, splits, n_rows)
        return Step(
            name="baseline",
            about="a classifier of the same labels, without reasons",
            words=(*words, *_alike(config), "--student", "encoder", "--output", str(output)),
            inputs=self._manifests(splits),
            products=(output / RESULTS_NAME, output / MODEL_NAME / "config.json"),
        )

    def evaluate(self) -> Step:
        """The student against its teacher."""
        at = self.layout
        words = ("stepdistill", "evaluate", str(at.student / MODEL_NAME), str(at.shards / "test"))
        return Step(
            name="evaluate",
            about="student against teacher, on rows that neither learnt from",
            words=(*words, "--json", str(at.evaluation), "--quiet"),
            inputs=(at.student / RESULTS_NAME, at.shards / "test" / MANIFEST_NAME),
            products=(at.evaluation,),
        )

    def _training(
        self,
        model: str,
        splits: Sequence[str],
        n_rows: int,
        steps: int | None = None,
        looks: int = _VALIDATIONS,
    ) -> list[str]:
        steps = steps or self._settings.steps or steps_for(n_rows)
        words = ["deepspeed", "--log_level", "error", "--module", "stepdistill.trainer"]
        words += ["--model", model, "--steps", str(steps)]
        words += ["--eval-every", str(max(1, steps // looks))]
        for split in splits:
            words += [f"--{split}", str(self.layout.shards / split)]
        return words

    def _manifests(self, splits: Sequence[str]) -> tuple[Path, ...]:
        return tuple(self.layout.shards / split / MANIFEST_NAME for split in splits)

    def _annotate(self, command: str) -> Iterator[str]:
        s = self._settings
        yield from ("annotate", command, self.layout.task)
        yield from ("--prompts", str(self.layout.prompts), "--data", str(self.layout.data))
        yield from _given("--store", s.store)

    def _teacher(self, one: NamedTeacher | None = None) -> list[str]:
        return (one or self._settings.teachers[0]).options

    @property
    def _train_config(self) -> list[str]:
        return _given("--config", self._settings.train_config)

    def _asking(
        self, name: str, about: str, words: Sequence[str], products: tuple[Path, ...]
    ) -> Step:
        at = self.layout
        inputs = (at.prompts / at.task, at.data, *_paths(self._settings.run_config))
        return Step(name=name, about=about, words=tuple(words), inputs=inputs, products=products)


def steps_for(n_rows: int) -> int:
    """Optimizer steps that go so often over so many rows, within bounds."""
    passes = -(-_PASSES * n_rows // _ROWS_A_STEP)
    return min(max(passes, _FEWEST_STEPS), _MOST_STEPS)


def _alike(config: Mapping[str, object]) -> Iterator[str]:
    """The options that make another training learn what this one has learnt."""
    defaults = {field.name: field.default for field in fields(TrainSettings)}
    for name in _ALIKE:
        value = config.get(name, defaults[name])
        if value != defaults[name]:
            yield f"--{name.replace('_', '-')}"
            yield from () if value is True else (str(value),)


def _without_batches(words: Sequence[str]) -> list[str]:
    """An estimate has both prices, and a trial of few rows is not worth a day's wait."""
    return [word for word in words if word != "--batch-api"]


def _given(option: str, value: object) -> list[str]:
    return [option, str(value)] if value not in (None, "") else []


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _paths(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)

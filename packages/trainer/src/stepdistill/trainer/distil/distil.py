"""`stepdistill distil FILE`: the steps one after another, each by its command, and a page.

    new -> estimate -> (may it cost that?) -> experiment -> run -> train -> evaluate -> page

With --baseline a classifier of the same labels is trained before the page, and compared.

A step that is done, by the same command on the same files, is not done again; one that was broken
off goes on by its own command's means: answers are in the store, a training has checkpoints.
"""

import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.own_command import CommandFailed, Finished, run_command
from stepdistill.common.terminal import visible
from stepdistill.trainer.distil import decisions
from stepdistill.trainer.distil.journal import Entry, Journal, claimed, digest_of
from stepdistill.trainer.distil.page import StepReport, write_page
from stepdistill.trainer.distil.steps import SPLITS, OutLayout, Step, Steps
from stepdistill.trainer.errors import Stopped, refused
from stepdistill.trainer.ranks.place import free_port
from stepdistill.trainer.settings.distil import SIMULATED, DistilSettings
from stepdistill.trainer.settings.train import MODEL_NAME, RESULTS_NAME, SIZES

_WRAPPER = textwrap.TextWrapper(
    80, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
)
_REFUSALS = ("annotate: ", "error: ")  # how a command's last line begins where it went wrong
_AGAIN = "the same command goes on from there"
_N_STEPS = 6
_LEFT_OUT = "left out"
Read = Callable[[Finished], dict[str, Any]]


def distil(settings: DistilSettings) -> None:
    """The command. Raises DistillError."""
    if find_spec("stepdistill.annotator") is None:
        raise ConfigError("distil needs the annotator, too: pip install stepdistill-annotator")
    if not settings.file.is_file():
        raise ConfigError(f"{settings.file}: no such file")
    if settings.student not in SIZES:
        # Before a cent is spent on answers that nobody could learn. (torch takes its time to load.)
        from stepdistill.trainer.model.pretrained import config_of

        config_of(settings.student)
    if settings.baseline is not None and settings.baseline not in SIZES:
        from stepdistill.trainer.model.encoder import check_encoder

        check_encoder(settings.baseline)
    with claimed(settings.out) as lock:
        _Distillation(settings, lock).run()


class _Distillation:
    """One distil; call run() once."""

    def __init__(self, settings: DistilSettings, lock: int) -> None:
        self._settings, self._lock = settings, lock
        self._journal = Journal(settings.out)
        self._steps = Steps(settings)
        self._reports: list[StepReport] = []
        self._is_agreed = False

    def run(self) -> None:
        """All steps, as far as they are not done."""
        steps, settings = self._steps, self._settings
        at: OutLayout = steps.layout
        new = self._new()
        splits = decisions.splits_of(new)
        self._tell(decisions.of_new(new))
        _check_judgeable(splits)
        names = list(splits.rows)
        estimate = self._do(steps.estimate(names))
        self._tell(decisions.of_estimate(estimate, splits, settings))
        is_rankable = decisions.is_rankable(splits)
        self._confirm(estimate, steps.experiment() if is_rankable else steps.run(names, None))
        template = None
        if is_rankable:
            experiment = self._do(steps.experiment())
            self._tell(decisions.of_experiment(experiment))
            template = experiment["ranking"][0]["template"]
        else:
            self._title(steps.experiment(), _LEFT_OUT)
            self._tell(decisions.of_no_experiment(splits))
        run_step = steps.run(names, template)
        if self._journal.begun(run_step.name) is not None:
            self._confirm(estimate, run_step)  # what was begun may have been another teacher's
        run = self._do(run_step)
        self._tell(decisions.of_run(run))
        counts: dict[str, dict[str, int]] = run["splits"]
        learnt = [split for split in names if counts[split]["records"]]
        n_rows = counts["train"]["records"]
        trained = self._do(steps.train(learnt, n_rows), lambda _: _results(at))
        self._tell(decisions.of_train(trained, n_rows, settings))
        found = self._do(steps.evaluate(), lambda _: orjson.loads(at.evaluation.read_bytes()))
        self._tell(decisions.of_evaluation(found))
        if settings.baseline is not None:
            alike = _written(at.student)["config"]
            found["classifier"] = self._compare(steps.baseline(learnt, n_rows, alike), found)
        write_page(at, settings, self._reports, found)
        self._end(found)

    def _compare(self, step: Step, found: dict[str, Any]) -> dict[str, Any] | None:
        """The student with a classifier, whose score it gives; None where none can be made of these
        labels, which a line says."""
        at = self._steps.layout
        try:
            classifier = self._do(step, lambda _: _test_score(at))
        except CommandFailed as error:
            if error.exit_code != ConfigError.exit_code:
                raise
            self._reports[-1].remark = _LEFT_OUT
            self._tell([f"Left out: {error}."])
            return None
        self._tell(decisions.of_baseline(found, classifier, self._settings))
        return classifier

    def _new(self) -> dict[str, Any]:
        """The task, made once. Raises ConfigError: it was made of something else."""
        step, at = self._steps.new(), self._steps.layout
        before = self._journal.begun(step.name)
        if before is None:
            self._refuse_others(at)
        elif before.result is None:  # broken off: what is there is a part of ours
            for folder in (at.prompts, at.data):
                shutil.rmtree(folder, ignore_errors=True)
        elif before.words != list(step.words):
            was, now = shlex.join(before.words[2:]), shlex.join(step.words[2:])
            raise ConfigError(
                f"--out {at.out} was made by other options (before: {was}; now: {now}): take "
                "another --out; no answer is paid for twice"
            )
        elif before.inputs != digest_of(step.inputs):
            raise ConfigError(
                f"--out {at.out} was made of other rows than {self._settings.file} has now: take "
                "another --out; no answer is paid for twice"
            )
        return self._do(step)

    def _refuse_others(self, at: OutLayout) -> None:
        for path in (at.prompts, at.data, at.shards, at.student, at.baseline):
            if path.exists():
                raise ConfigError(f"{path} is there, and no distil has made it: take another --out")

    def _do(self, step: Step, read: Read | None = None) -> dict[str, Any]:
        """What a step says at its end: as it said it before, or by doing it now."""
        words, inputs = list(step.words), digest_of(step.inputs)
        before = self._journal.finished(step.name, words, inputs)
        is_done = before is not None and all(product.exists() for product in step.products)
        self._title(step, "done before" if is_done else "")
        if before is None or not is_done:
            self._set_aside(step, inputs)
            if step.name == "experiment":
                self._journal.forget("run")  # it was another experiment's
            self._journal.write(step.name, Entry(words=words, inputs=inputs))
            began = time.monotonic()
            result = (read or _json)(self._run(step))
            seconds = time.monotonic() - began
            before = Entry(words=words, inputs=inputs, seconds=seconds, result=result)
            self._journal.write(step.name, before)
        assert before.result is not None
        self._reports[-1].seconds = before.seconds
        return before.result

    def _set_aside(self, step: Step, inputs: str) -> None:
        """Hours of training are not thrown away because an option or a prompt is another one."""
        at = self._steps.layout
        outputs = {"train": at.student, "baseline": at.baseline}
        before, student = self._journal.begun(step.name), outputs.get(step.name)
        if before is None or student is None or not student.exists():
            return
        if (before.words, before.inputs) != (list(step.words), inputs):
            names = (student.with_name(f"{student.name}-{n}") for n in count(1))
            aside = next(name for name in names if not name.exists())
            with refused(student):
                student.rename(aside)
            _say(f"  {student} is of other options or answers: it is {aside} now.")

    def _run(self, step: Step) -> Finished:
        words = list(step.words)
        if words[0] == "deepspeed":  # its default is often taken on a shared machine
            words[1:1] = ["--master_port", free_port()]
        try:
            done = run_command(words, _say_remark, fds=(self._lock,))
            done.checked()
        except KeyboardInterrupt:
            raise Stopped(f"stopped in step {step.name}; {_AGAIN}") from None
        except CommandFailed as error:
            again = f"; {_AGAIN}" if error.exit_code == Stopped.exit_code else ""
            raise CommandFailed(f"step {step.name}: {error}{again}", error.exit_code) from None
        return done

    def _confirm(self, estimate: dict[str, Any], step: Step) -> None:
        """Ask whether it may cost that, unless that is said, or was before of this very command, or
        nothing is paid. Raises ConfigError: nobody is there, or says no."""
        settings = self._settings
        is_paid = settings.teacher != SIMULATED and estimate["to_ask"]
        begun = self._journal.is_begun(step.name, list(step.words), digest_of(step.inputs))
        if settings.yes or not is_paid or self._is_agreed or begun:
            return
        if not sys.stdin.isatty():
            raise ConfigError("nobody is there to say whether it may cost that: --yes says so")
        sys.stderr.write("\nGo on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise ConfigError("not confirmed: nothing was asked, nothing is paid")
        self._is_agreed = True  # to all that is left

    def _title(self, step: Step, remark: str) -> None:
        number = len(self._reports) + 1
        n_steps = _N_STEPS + (self._settings.baseline is not None)
        _say(f"\n{number}/{n_steps}  {step.name}: {step.about}{f' ({remark})' if remark else ''}")
        if remark != _LEFT_OUT:
            _say(f"$ {step.shown}")
        self._reports.append(StepReport(step=step, remark=remark))

    def _tell(self, lines: list[str]) -> None:
        """What a step found, on the screen and on the page."""
        self._reports[-1].lines.extend(lines)
        for line in lines:
            _say(_WRAPPER.fill(line))

    def _end(self, found: dict[str, Any]) -> None:
        at, settings = self._steps.layout, self._settings
        model = at.student / MODEL_NAME
        if settings.as_json:
            steps = {
                each.step.name: {
                    "command": each.step.words,
                    "remark": each.remark,
                    "seconds": each.seconds,
                    "found": each.lines,
                }
                for each in self._reports
            }
            content = {
                "task": at.task,
                "out": str(at.out),
                "model": str(model),
                "page": str(at.page),
                "student": found["student"],
                "teacher": found["teacher"],
                **({"classifier": found["classifier"]} if "classifier" in found else {}),
                "steps": steps,
            }
            sys.stdout.write(orjson.dumps(content).decode() + "\n")
            return
        _say("")
        for what, where in (
            ("Student", model),
            ("Page", at.page),
            ("Prompts", f"{at.prompts / at.task} (make their words yours, and run this again)"),
            ("Use it", f"stepdistill predict {shlex.quote(str(model))} FILE --to OUT.csv"),
        ):
            sys.stdout.write(f"{what:<9}{where}\n")


def _check_judgeable(splits: decisions.Splits) -> None:
    """Raises ConfigError, before anything is paid: there is nothing to judge the student on."""
    for split in SPLITS:
        if split not in splits.rows:
            raise ConfigError(
                f"{splits.n_rows} rows are too few to share out: {split} has none; take some 50"
            )


def _json(done: Finished) -> dict[str, Any]:
    return orjson.loads(done.output)


def _results(at: OutLayout) -> dict[str, Any]:
    """What is shown of a training: its file is large."""
    found = _written(at.student)
    return {"config": {"steps": found["config"]["steps"]}, "valid": found["valid"]}


def _test_score(at: OutLayout) -> dict[str, Any]:
    """How good the classifier is, on the rows that the student was compared on."""
    return _written(at.baseline)["test"]["student"]


def _written(training: Path) -> dict[str, Any]:
    return orjson.loads((training / RESULTS_NAME).read_bytes())


def _say_remark(line: str) -> None:
    """What a command says on the way; why it failed is said once, at the end."""
    if not line.startswith(_REFUSALS):
        _say(line)


def _say(line: str) -> None:
    sys.stderr.write(f"{visible(line)}\n")
    sys.stderr.flush()

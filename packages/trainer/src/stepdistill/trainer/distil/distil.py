"""`stepdistill distil FILE`: the steps one after another, each by its command, and a page.

    new -> estimate -> (may it cost that?) -> experiment -> run -> train -> evaluate -> page

With --baseline a classifier of the same labels is trained before the page, and compared.

A step that is done, by the same command on the same files, is not done again; one that was broken
off goes on by its own command's means: answers are in the store, a training has checkpoints.
"""

import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.figures import write_picture
from stepdistill.common.named_teacher import NamedTeacher
from stepdistill.common.own_command import Finished, run_command
from stepdistill.common.page import usd
from stepdistill.trainer.distil import decisions
from stepdistill.trainer.distil.budget import (
    BudgetPlan,
    bought_teacher,
    check_race,
    not_bought,
    of_cascade,
    of_money,
    pays_for_all,
    steps_within,
    training_usd,
    trial_rows,
    usd_a_row,
    verdict,
)
from stepdistill.trainer.distil.frontier import frontier_picture, priced
from stepdistill.trainer.distil.journal import claimed, digest_of
from stepdistill.trainer.distil.page import write_page
from stepdistill.trainer.distil.step_runner import LEFT_OUT, StepRunner, say, say_remark
from stepdistill.trainer.distil.steps import SPEED_STEPS, SPLITS, OutLayout, Step, Steps, steps_for
from stepdistill.trainer.settings.distil import DistilSettings
from stepdistill.trainer.settings.train import MODEL_NAME, RESULTS_NAME, SIZES

_SPENT = "task_usd"
_MORE = ("classifier", "cascade", "money", "not_bought")  # of --json, where there are such


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Who labels the rows, and asked how."""

    teacher: NamedTeacher
    template: str | None = None


class _Distillation:
    """One distil; call run() once."""

    def __init__(self, settings: DistilSettings, lock: int) -> None:
        self._settings, self._steps = settings, Steps(settings)
        self._runner = StepRunner(settings, self._steps.layout, lock)
        hour_usd = None if settings.gpu_hour is None else float(settings.gpu_hour)
        self._plan: BudgetPlan | None = None
        if settings.budget is not None:
            self._plan = BudgetPlan(budget_usd=float(settings.budget), hour_usd=hour_usd)
        self._spent_usd: dict[str, float] = {}
        self._bought_usd = 0.0  # that rows had cost before the experiment

    def run(self) -> None:
        """All steps, as far as they are not done."""
        steps, settings = self._steps, self._settings
        at: OutLayout = steps.layout
        new = self._new()
        splits = decisions.splits_of(new)
        self._runner.tell(decisions.of_new(new))
        _check_judgeable(splits)
        estimate = self._estimate(splits)
        experiment, choice = self._choose(splits, estimate)
        a_row_usd = usd_a_row(experiment, estimate, choice.template)
        run = self._label(splits, estimate, choice, a_row_usd)
        learnt = decisions.learnt_splits(run, at.shards)
        n_rows: int = run["splits"]["train"]["records"]
        self._train(learnt, n_rows)
        found = self._runner.do(
            steps.evaluate(), lambda _: orjson.loads(at.evaluation.read_bytes())
        )
        self._runner.tell(decisions.of_evaluation(found))
        rule = self._keep_target(found, choice) if settings.target is not None else None
        if settings.baseline is not None:
            alike = _written(at.student)["config"]
            found["classifier"] = self._runner.attempt(
                steps.baseline(learnt, n_rows, alike), lambda _: _test_score(at)
            )
            if found["classifier"] is not None:
                self._runner.tell(decisions.of_baseline(found, found["classifier"], settings))
        self._account(found, run, experiment, rule)
        found["used"] = steps.used(None if rule is None else choice.teacher)
        found["labelled_by"] = choice.teacher.name
        write_page(at, settings, self._runner.reports, found)
        self._end(found)

    def _account(
        self,
        found: dict[str, Any],
        run: dict[str, Any],
        experiment: dict[str, Any] | None,
        rule: dict[str, Any] | None,
    ) -> None:
        """Of a budget: what was spent on what, and what there was beside. It is put into found."""
        steps, at = self._steps, self._steps.layout
        if self._plan is None:
            return
        what_if = None
        if experiment is not None:
            what_if = self._runner.attempt(steps.what_if())
        else:
            self._runner.title(steps.what_if(), LEFT_OUT)
            self._runner.tell(["Left out: no experiment says which template would do better."])
        left = run.get("grow", {}).get("not_bought")
        beside = not_bought(left, experiment, what_if)
        found["not_bought"] = [each.line for each in beside]
        self._runner.tell(decisions.of_not_bought(found["not_bought"]))
        found["money"] = of_money(self._plan, self._spent_usd)
        ways = priced(found, experiment, rule)
        write_picture(frontier_picture(at.task, ways), at.frontier.parent)

    def _estimate(self, splits: decisions.Splits) -> dict[str, Any]:
        """What it will cost, all told; of several teachers it is not known yet."""
        step, settings = self._steps.estimate(list(splits.rows)), self._settings
        if settings.has_several_teachers:
            self._runner.title(step, LEFT_OUT)
            self._runner.tell(decisions.of_no_estimate(settings))
            estimate: dict[str, Any] = {"to_ask": splits.n_rows}
            if self._plan is not None and self._runner.journal.begun("experiment") is None:
                check_race(self._plan, self._estimates(splits), decisions.FEWEST_TO_RANK)
        else:
            estimate = self._runner.do(step)
            self._runner.tell(decisions.of_estimate(estimate, splits, settings))
        if self._plan is not None:
            self._runner.tell(self._plan.lines)
        return estimate

    def _estimates(self, splits: decisions.Splits) -> list[dict[str, Any]]:
        """What each of several teachers would cost."""
        # At another tier, or in batches, it is the same one.
        named = {(each.teacher, each.effort): each for each in self._settings.teachers}
        steps = [self._steps.estimate(list(splits.rows), each) for each in named.values()]
        return [orjson.loads(run_command(step.words, say_remark).checked()) for step in steps]

    def _choose(
        self, splits: decisions.Splits, estimate: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, _Choice]:
        """What the experiment says, None where there is none, and who is asked by it."""
        steps, settings, plan = self._steps, self._settings, self._plan
        step, wanted = steps.experiment(settings.max_cost), decisions.n_trial_rows(splits, settings)
        n_rows, bought_usd, only = wanted, 0.0, _Choice(teacher=settings.teachers[0])
        if plan is not None:
            n_rows = trial_rows(plan, estimate, wanted)
            step, bought_usd = self._experiment_within(plan, n_rows if n_rows < wanted else None)
        if not decisions.is_rankable(splits):
            if settings.has_several_teachers:
                raise ConfigError(
                    f"{splits.labelled.get('train', 0)} rows of train have a label, too few to "
                    f"find out which of {settings.teacher} to buy: name one --teacher"
                )
            self._runner.confirm(estimate, steps.run(list(splits.rows), None))
            self._runner.title(step, LEFT_OUT)
            self._runner.tell(decisions.of_no_experiment(splits))
            return None, only
        if n_rows < min(wanted, decisions.FEWEST_TO_RANK):
            self._runner.confirm(estimate, steps.run(list(splits.rows), None))
            self._runner.title(step, LEFT_OUT)
            self._runner.tell(decisions.of_dear_experiment(n_rows))
            return None, only
        self._runner.confirm(estimate, step)
        self._bought_usd = bought_usd
        experiment = self._runner.do(step, self._with_spent, bought_usd=bought_usd)
        self._spent_usd["choosing"] = experiment.get(_SPENT, 0.0) - bought_usd
        if not settings.has_several_teachers:
            self._runner.tell(decisions.of_experiment(experiment, splits.labelled.get("train", 0)))
            return experiment, replace(only, template=experiment["ranking"][0]["template"])
        self._runner.tell(decisions.of_tournament(experiment))
        teacher, template = bought_teacher(experiment["command"])
        return experiment, _Choice(teacher=teacher, template=template)

    def _experiment_within(self, plan: BudgetPlan, n_rows: int | None) -> tuple[Step, float]:
        """The experiment by its part of the budget, and what rows have cost before it, by a smaller
        budget or other prompts: that is on the same account, and no part of what it may take."""
        journal, ran = self._runner.journal, self._runner.journal.begun("run")
        before = journal.begun("experiment")
        bought_usd = 0.0 if before is None else before.bought_usd
        step = self._steps.experiment(f"{plan.choosing_usd + bought_usd:.6g}", n_rows)
        is_same = journal.is_begun(step.name, list(step.words), digest_of(step.inputs))
        if is_same or ran is None or (before is not None and before.result is None):
            return step, bought_usd
        bought_usd = self._account_usd()
        if before is not None and before.result is not None:
            bought_usd -= before.result.get(_SPENT, 0.0) - before.bought_usd
        return self._steps.experiment(f"{plan.choosing_usd + bought_usd:.6g}", n_rows), bought_usd

    def _label(
        self,
        splits: decisions.Splits,
        estimate: dict[str, Any],
        choice: _Choice,
        a_row_usd: float | None,
    ) -> dict[str, Any]:
        """Labels and reasons, of as many rows as there is money for."""
        bounds: list[str] | None = None
        if self._plan is not None:
            had_usd = self._bought_usd
            left_usd = self._plan.teacher_usd - self._spent_usd.get("choosing", 0.0) - had_usd
            worth = self._settings.point_worth
            bounds = ["--max-cost", f"{self._plan.teacher_usd:.6g}"]
            is_all = pays_for_all(left_usd, a_row_usd, splits.rows, had_usd)
            if not is_all or worth is not None:
                bounds += ["--grow", *(() if worth is None else ("--point-worth", worth))]
        step = self._steps.run(list(splits.rows), choice.template, choice.teacher, bounds)
        if self._runner.journal.begun(step.name) is not None:
            self._runner.confirm(estimate, step)  # what was begun may have been another teacher's
        run = self._runner.do(step, self._with_spent)
        self._spent_usd["rows"] = run.get(_SPENT, 0.0) - self._spent_usd.get("choosing", 0.0)
        self._runner.tell(decisions.of_run(run))
        return run

    def _train(self, learnt: list[str], n_rows: int) -> None:
        """The student, for as many steps as there is money for."""
        at, runner, plan = self._steps.layout, self._runner, self._plan
        wanted, ranks = self._settings.steps or steps_for(n_rows), 1
        step = self._steps.train(learnt, n_rows)
        if plan is not None and plan.hour_usd:
            speed = self._steps.speed(learnt, n_rows)
            trial = runner.do(speed, lambda _: _written(at.speed)["cost"])
            ranks = trial["ranks"]
            trial |= {"wall_s": runner.reports[-1].seconds, "steps": SPEED_STEPS}
            n_steps, step = self._steps_paid(plan, trial, learnt, n_rows)
            a_step_s = trial["seconds"] / SPEED_STEPS
            runner.tell([f"{a_step_s:.2g} s a step: {n_steps:,} steps."])
        trained = runner.do(step, lambda _: _results(at))
        runner.tell(decisions.of_train(trained, n_rows, self._settings, wanted))
        if plan is not None:
            self._spent_usd["training"] = training_usd(runner.paid_s("speed", "train"), ranks, plan)

    def _steps_paid(
        self, plan: BudgetPlan, trial: dict[str, Any], learnt: list[str], n_rows: int
    ) -> tuple[int, Step]:
        """How many steps are paid for, and the training of these. Where it takes the place of an
        earlier one, what that took is spent."""
        wanted = self._settings.steps or steps_for(n_rows)
        before = self._runner.journal.begun("train")
        replaced_s = 0.0 if before is None else before.replaced_s
        while True:
            spent_s = self._runner.paid_s("speed") + replaced_s
            n_steps = steps_within(plan, spent_s, trial, wanted)
            step = self._steps.train(learnt, n_rows, n_steps)
            now_s = self._runner.replaced_s(step)
            if now_s <= replaced_s:
                return n_steps, step
            replaced_s = now_s

    def _keep_target(self, found: dict[str, Any], choice: _Choice) -> dict[str, Any] | None:
        """The rule by which the student asks its teacher, where it needs it to reach the target;
        None where it does not, or where none is found, which is said."""
        target = self._settings.target
        assert target is not None
        is_reached, line = verdict(found["student"], target)
        self._runner.tell([line])
        if is_reached:
            return None
        rule = self._runner.attempt(self._steps.cascade(choice.teacher, target))
        found["cascade"] = rule
        if rule is None:
            self._runner.tell([f"The target of {target:g} is NOT promised."])
        else:
            self._runner.tell(of_cascade(rule))
        return rule

    def _with_spent(self, done: Finished) -> dict[str, Any]:
        """What a command says, and with a budget what was spent on teachers until then, as the
        store has it: it is kept, so that what follows is decided alike whenever it is repeated."""
        said: dict[str, Any] = orjson.loads(done.output)
        if self._plan is None:
            return said
        return {**said, _SPENT: self._account_usd()}

    def _account_usd(self) -> float:
        """What was spent on teachers until now, as the store has it."""
        info = orjson.loads(run_command(self._steps.info_words, say_remark).checked())
        spent: dict[str, float] = info.get("budgets_usd", {})
        return spent.get(self._steps.layout.task, 0.0)

    def _new(self) -> dict[str, Any]:
        """The task, made once. Raises ConfigError: it was made of something else."""
        step, at = self._steps.new(), self._steps.layout
        before = self._runner.journal.begun(step.name)
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
        return self._runner.do(step)

    def _refuse_others(self, at: OutLayout) -> None:
        for path in (at.prompts, at.data, at.shards, at.student, at.baseline):
            if path.exists():
                raise ConfigError(f"{path} is there, and no distil has made it: take another --out")

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
                for each in self._runner.reports
            }
            content = {
                "task": at.task,
                "out": str(at.out),
                "model": str(model),
                "page": str(at.page),
                "student": found["student"],
                "teacher": found["teacher"],
                **{name: found[name] for name in _MORE if name in found},
                "steps": steps,
            }
            sys.stdout.write(orjson.dumps(content).decode() + "\n")
            return
        say("")
        for name, planned_usd, spent_usd in found.get("money", []):
            sys.stdout.write(f"{name:<9}{usd(spent_usd):>9} of {usd(planned_usd)} USD\n")
        prompts = f"{at.prompts / at.task} (make their words yours, and run this again)"
        places = {"Student": model, "Page": at.page, "Prompts": prompts}
        for what, where in (*places.items(), ("Use it", shlex.join(found["used"][0]))):
            sys.stdout.write(f"{what:<9}{where}\n")


def _check_judgeable(splits: decisions.Splits) -> None:
    """Raises ConfigError, before anything is paid: there is nothing to judge the student on."""
    for split in SPLITS:
        if split not in splits.rows:
            raise ConfigError(
                f"{splits.n_rows} rows are too few to share out: {split} has none; take some 50"
            )


def _results(at: OutLayout) -> dict[str, Any]:
    """What is shown of a training: its file is large."""
    found = _written(at.student)
    return {"config": {"steps": found["config"]["steps"]}, "valid": found["valid"]}


def _test_score(at: OutLayout) -> dict[str, Any]:
    """How good the classifier is, on the rows that the student was compared on."""
    return _written(at.baseline)["test"]["student"]


def _written(training: Path) -> dict[str, Any]:
    return orjson.loads((training / RESULTS_NAME).read_bytes())

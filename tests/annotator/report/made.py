"""Reports of made-up accounts."""

from decimal import Decimal
from pathlib import Path

from stepdistill.annotator.report.account import Account, Judged
from stepdistill.annotator.report.report import RunReport
from stepdistill.annotator.run.run_notes import note_of
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.metadata import TemplateResult
from tests.annotator.study.made import a_score, a_setting


def some_settings() -> RunSettings:
    return RunSettings(
        task="t",
        splits=("train",),
        teacher="any-model",
        prompts=Path("p"),
        store=Path("s"),
        out=Path("o"),
    )


def judged(rows: int, correct: int, usd: str) -> Judged:
    return Judged(rows=rows, labels=rows, gold=rows, correct=correct, usd=Decimal(usd))


def a_report(*results: TemplateResult, **by_template: Judged) -> RunReport:
    account = Account()
    account.judged.update(by_template)
    note = note_of(some_settings(), "name", "run")
    return RunReport(
        note=note,
        account=account,
        planned=None,
        changed=None,
        store=Path("s"),
        results=list(results),
    )


def a_result(teacher: str = "any-model", /, **scores: tuple[int, int, float]) -> TemplateResult:
    return TemplateResult(
        setting=a_setting(teacher=teacher),
        reader_version=1,
        data="",
        templates={
            name: a_score(rows=rows, correct=correct, cost_usd=usd)
            for name, (rows, correct, usd) in scores.items()
        },
    )

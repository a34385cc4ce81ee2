"""What a person or a program sees of a search in the end."""

from stepdistill.annotator.commands.ranking import ranking_table
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.prompt.appending import as_yaml
from stepdistill.annotator.study.optimize.outcome import SearchOutcome
from stepdistill.annotator.study.optimize.report import as_html, facts, sentences
from stepdistill.annotator.study.report import write_report

_SHOWN = 10


def show_outcome(
    outcome: SearchOutcome, screen: ConsoleOutput, html: str | None, *, as_json: bool
) -> None:
    """On the screen, and as a page where one is asked for. Raises ConfigError."""
    if html is not None:
        write_report(html, as_html(outcome))
    if as_json:
        screen.json(facts(outcome))
        return
    for remark in outcome.remarks:
        screen.warn(remark)
    setting = outcome.setting
    screen.show(
        f"{outcome.task}: {setting.rows} of {setting.split}, {setting.teacher} "
        f"({setting.server}), templates by {outcome.optimizer}"
    )
    screen.table(ranking_table(outcome.places[:_SHOWN], 1))
    screen.show("")
    if outcome.found_better:
        screen.show(as_yaml(outcome.winner))
    for line in sentences(outcome):
        screen.show(line)
    screen.show(f"History: {outcome.history}; scores: {outcome.metadata}")
    if outcome.written:
        screen.show(f"{outcome.winner.id} was added to {outcome.written}")

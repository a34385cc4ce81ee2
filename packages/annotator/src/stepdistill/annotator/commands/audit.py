"""`annotate audit`."""

import asyncio
import shlex
from contextlib import suppress
from pathlib import Path

from stepdistill.annotator.audit.findings import find_out
from stepdistill.annotator.audit.judging import JudgeServer, Judging
from stepdistill.annotator.audit.report import facts_of, show
from stepdistill.annotator.audit.rows import Chosen, choose
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.rows import OUT
from stepdistill.annotator.settings.view import AuditSettings
from stepdistill.annotator.view.entry import RowSource
from stepdistill.annotator.view.run_source import RunSource
from stepdistill.annotator.view.server import bound, serve_page
from stepdistill.annotator.view.target import open_rows
from stepdistill.common.errors import ConfigError, NothingThere, StorageRefused
from stepdistill.common.files.storage import fetch
from stepdistill.common.judgements import JUDGEMENTS_NAME, read_judgements
from stepdistill.common.urls import Url, place_of

_USUAL = AuditSettings()


def audit_command(settings: AuditSettings = _USUAL, console: JsonSettings = JSON) -> None:
    """Find out how good a run's labels are without gold, by judging a few rows.

    Rows are chosen at random, more of those that votes, other templates
    or a student disagree about. --judge opens the page to judge them; then
    the same command says how many labels are right, within which bounds,
    and where the errors are.

    Examples:

        annotate audit runs/demo --human 100

        annotate audit runs/demo --human 100 --judge --name ann

        annotate audit runs/tickets --human 50 --predictions labelled.jsonl --json
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    if settings.judge and console.as_json:
        raise ConfigError("--judge and --json exclude each other: --json shows the result alone")
    opened = open_rows(settings)
    try:
        tell = output.progress_line("rows read", opened.source.total)
        chosen = choose(opened.source, settings.human, settings.seed, tell)
        title = opened.source.title
        path, command = settings.judgements or _place(title), _command(settings, title)
        read_judgements(path)  # what is wrong with the file is said before anybody judges
        if settings.judge:
            _judge(settings, chosen, path, opened.source, output)
        judgements = read_judgements(path)
    finally:
        opened.close()
    found = find_out(chosen, judgements)
    if console.as_json:
        facts = facts_of(chosen, found, judgements, command)
        output.json({"run": title, "seed": settings.seed, **facts})
    else:
        show(chosen, found, output, command)


def _judge(
    settings: AuditSettings, chosen: Chosen, path: Path, source: RowSource, output: ConsoleOutput
) -> None:
    """Serve the page until somebody ends it."""
    assert isinstance(source, RunSource)  # others have no rows to choose
    judging = Judging(
        source=source,
        chosen=chosen,
        path=path,
        judge=settings.judge_name,
        command=_command(settings, source.title),
    )
    server = JudgeServer(judging, bound(settings.port))
    asyncio.run(serve_page(server, output, browser=settings.browser))


def _place(title: str) -> Path:
    """Beside the shards; of a run that has none yet, where they will be; of one elsewhere, in a
    folder of its own, with what people judged so far if that is beside its shards."""
    place = place_of(title)
    if isinstance(place, Url):
        path = OUT / place.address.partition("://")[2] / JUDGEMENTS_NAME
        with suppress(NothingThere, StorageRefused):
            if not path.exists():
                fetch(place / JUDGEMENTS_NAME, path)
        return path
    folder = Path(title)
    return (folder if folder.is_dir() else OUT / title) / JUDGEMENTS_NAME


def _command(settings: AuditSettings, title: str) -> str:
    """What judges the chosen rows, and not others."""
    words = ["annotate", "audit", title, "--human", str(settings.human)]
    given = {
        "seed": settings.seed or None,
        "predictions": settings.predictions,
        "judgements": settings.judgements,
        "store": settings.store if settings.store != _USUAL.store else None,
        "prompts": settings.prompts if settings.prompts != _USUAL.prompts else None,
        **{name: getattr(settings, name) for name in ("data", "teacher", "name")},
    }
    for name, value in given.items():
        words += [f"--{name}", str(value)] if value is not None else []
    return shlex.join([*words, "--judge"])

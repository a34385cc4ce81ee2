"""`annotate what-if`."""

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.what_if import WhatIfSettings
from stepdistill.annotator.what_if.view import facts_of, show
from stepdistill.annotator.what_if.weighed import what_if


def what_if_command(settings: WhatIfSettings, console: JsonSettings = JSON) -> None:
    """Say what other votes, templates, mixes, rates or sizes would have come to, and cost.

    From the answers that the store has, with 95 % intervals; nobody is
    asked. More votes than are stored are predicted where rows have two.

    Examples:

        annotate what-if demo

        annotate what-if demo --out runs/demo --votes 1,3 --rows 500,5000

        annotate what-if demo --mixes label-first:0.5+reason-first:0.5 --plot what-if.png

        annotate what-if cqa --data data/cqa --teacher gpt-3.5-turbo --json
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    found = what_if(settings, output)
    drawn = None
    if settings.plot is not None:
        from stepdistill.annotator.what_if.picture import draw  # matplotlib takes half a second

        drawn = draw(found, settings.plot)
    if console.as_json:
        paths = None if drawn is None else [str(path) for path in drawn]
        output.json({**facts_of(found), "plot": paths})
        return
    show(found, output)
    if drawn is not None:
        output.show(f"{drawn[0]}, {drawn[1].suffix}")

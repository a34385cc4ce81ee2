"""The `annotate` command: its commands, and one clear line where something is wrong.

A command's module is imported when that command is asked for, so that `--help` and the small ones
answer at once, whatever the others need.
"""

import sys
from importlib import import_module
from importlib.metadata import version

from cyclopts import App

from stepdistill.common import command_line

_ABOUT = "Ask a teacher LLM for a label and its reasons for every row, and write sharded JSONL."
# name -> where it is defined, and what it does: the first line of its own help.
COMMANDS = {
    "new": (
        "stepdistill.annotator.commands.new:new_command",
        "Make a task of a file of your own: its folder of prompts, and train, valid and test.",
    ),
    "run": (
        "stepdistill.annotator.commands.run:run_command",
        "Annotate a task's rows. Running the same command again goes on where it stopped.",
    ),
    "gather": (
        "stepdistill.annotator.commands.gather:gather_command",
        "Join what `annotate run --shard` made on several machines: one run's shards.",
    ),
    "view": (
        "stepdistill.annotator.commands.view:view_command",
        "Look at rows in a browser: what became of each, and what the teacher was asked for it.",
    ),
    "export": (
        "stepdistill.annotator.commands.export:export_command",
        "Put a run's labels beside your rows: all your columns, row for row in your order.",
    ),
    "estimate": (
        "stepdistill.annotator.commands.estimate:estimate_command",
        "Say what a run would cost, before it costs anything. Nobody is asked, but with --probe.",
    ),
    "audit": (
        "stepdistill.annotator.commands.audit:audit_command",
        "Find out how good a run's labels are without gold, by judging a few rows.",
    ),
    "report": (
        "stepdistill.annotator.commands.report:report_command",
        "Say what a run did cost: by mode, template, part and split; planned against actual.",
    ),
    "what-if": (
        "stepdistill.annotator.commands.what_if:what_if_command",
        "Say what other votes, templates, mixes, rates or sizes would have come to, and cost.",
    ),
    "experiment": (
        "stepdistill.annotator.commands.experiment:experiment_command",
        "Ask the same rows of every template, and rank the templates by what comes of it.",
    ),
    "evaluate": (
        "stepdistill.annotator.commands.evaluate:evaluate_command",
        "Judge templates by the answers that the store has; nobody is asked.",
    ),
    "optimize": (
        "stepdistill.annotator.commands.optimize:optimize_command",
        "Search for a better prompt: a model proposes templates, the rows decide (OPRO).",
    ),
    "plots": (
        "stepdistill.annotator.commands.plots:plots_command",
        "Draw what is known about templates, their searches and their costs, as PNG and SVG.",
    ),
    "parse": (
        "stepdistill.annotator.commands.parse:parse_command",
        "Read the stored answers to a task's rows; nobody is asked, nothing is written.",
    ),
    "providers": (
        "stepdistill.annotator.commands.providers:providers_app",
        "List who is known to serve teachers; ask one what works and what does not.",
    ),
    "prompts": (
        "stepdistill.annotator.commands.prompts:prompts_app",
        "List, show and check a task's templates and mixes; render the request of a row.",
    ),
    "store": (
        "stepdistill.annotator.commands.store:store_app",
        "Look into the response store, check it, carry its answers to another, make it smaller.",
    ),
    "batch": (
        "stepdistill.annotator.commands.batch:batch_app",
        "List batches of the Batch API, see how far they are, collect or cancel them.",
    ),
    "simulate": (
        "stepdistill.annotator.commands.simulate:simulate_command",
        "Serve a simulated teacher on this machine until Ctrl-C: the protocol without the bill.",
    ),
    "import-original": (
        "stepdistill.annotator.commands.import_original:import_original_command",
        "Import the original's templates, mixes, recorded gpt-3.5-turbo answers and scores.",
    ),
    "check-original": (
        "stepdistill.annotator.commands.check_original:check_original_command",
        "Read the original's recorded answers as it did, and compare with the numbers it recorded.",
    ),
}


def make_app(asked_for: str | None) -> App:
    """The app; of its commands only the one that is asked for is loaded and can be called."""
    app = command_line.make_app("annotate", _ABOUT, version("stepdistill-annotator"))
    for name, (place, line) in COMMANDS.items():
        if name != asked_for:
            app.command(_not_loaded, name=name, help=line)
            continue
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, App):
            app.command(command)
        else:
            command_line.add_command(app, command, name)
    return app


def _not_loaded() -> None:
    raise AssertionError("only the command that is asked for is called")


def main() -> None:
    """The console script: exit codes 0 done, 2 refused, 3 stopped by a limit, 130 interrupted."""
    words = sys.argv[1:]
    asked_for = next((word for word in words if not word.startswith("-")), None)
    try:
        code = command_line.exit_code_of(make_app(asked_for), words)
    except KeyboardInterrupt:
        sys.stderr.write("annotate: interrupted: what was answered is stored; run it again\n")
        code = 130
    sys.exit(code)

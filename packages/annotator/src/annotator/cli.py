"""The `annotate` command: its commands, and one clear line where something is wrong."""

import sys

import typer

from annotator.commands.check_original import check_original_command
from annotator.commands.import_original import import_original_command
from annotator.commands.prompts import prompts_app
from annotator.commands.run import run_command
from annotator.commands.simulate import simulate_command
from annotator.commands.store import store_app
from common.errors import DistillError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Ask a teacher LLM for a label and its reasons for every row, and write sharded JSONL.",
)
app.command("run")(run_command)
app.command("simulate")(simulate_command)
app.command("import-original")(import_original_command)
app.command("check-original")(check_original_command)
app.add_typer(prompts_app, name="prompts")
app.add_typer(store_app, name="store")


def main() -> None:
    """The console script: exit codes 0 done, 2 refused, 3 stopped by a limit, 130 interrupted."""
    try:
        app()
    except DistillError as error:
        sys.stderr.write(f"annotate: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)

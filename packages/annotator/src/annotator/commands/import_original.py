"""`annotate import-original`."""

from pathlib import Path
from typing import Annotated

import typer

from annotator.commands.options import AsJson, Store
from annotator.config import STORE, own_prompts
from annotator.importing.original import import_original
from annotator.request.store import ResponseStore
from annotator.screen import Screen
from annotator.summary import import_summary, show_imported


def import_original_command(
    src: Annotated[
        Path, typer.Argument(help="Folder with prompt-templates/, prompt-mixes/, query-results/.")
    ],
    *,
    prompts: Annotated[Path, typer.Option(help="Where templates and mixes go.")] = Path("prompts"),
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Import the original's templates, mixes and recorded gpt-3.5-turbo answers.

    The tasks of the project are copied to --prompts where they are missing there.

    Examples:

        annotate import-original thesis --prompts my-prompts --store runs/store

        annotate run svamp --data thesis/datasets/svamp --teacher gpt-3.5-turbo --offline
        --template 1 --prompts my-prompts --store runs/store
    """
    screen = Screen(quiet=as_json)
    with ResponseStore.open(store, write=True) as opened:
        done = import_original(src, prompts, own_prompts(), opened)
    if as_json:
        screen.json(import_summary(done))
    else:
        show_imported(done, screen)

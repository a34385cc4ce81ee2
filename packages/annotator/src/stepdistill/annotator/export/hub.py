"""A table pushed to the Hugging Face hub: a dataset with its splits, and its card."""

import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from stepdistill.annotator.export.card import CARD, TAG, card_of
from stepdistill.annotator.export.joined import Joined
from stepdistill.common.errors import ConfigError
from stepdistill.common.tables.table_file import TableFile, table_file

_NO_TOKEN = "log in first, by `hf auth login` or HF_TOKEN=... with a token that may write"
_EMPTY = {".gitattributes"}  # what a dataset holds that the hub has just made


def push(table: Joined, name: str, *, is_public: bool) -> str:
    """Push a table; the dataset's address. Nobody else sees it unless it is public.

    Raises ConfigError: no token, no network, no right to write there; what is there already is
    seen by others than asked for, or is not of an earlier push.
    """
    import huggingface_hub as hub  # a second to import: only where it is used

    if hub.get_token() is None:
        raise ConfigError(f"--to hub:{name}: no token of the Hugging Face hub: {_NO_TOKEN}")
    cast(Any, hub).utils.disable_progress_bars()
    client = cast(Any, hub).HfApi()
    with _refused(name):
        # Before the rows are written: most of what can be wrong shows here.
        address = client.create_repo(
            name, repo_type="dataset", private=not is_public, exist_ok=True
        )
        there = client.dataset_info(address.repo_id)
    _check_there(there, name, is_public=is_public)
    with tempfile.TemporaryDirectory() as folder:
        files = _write_splits(table, Path(folder))
        (Path(folder) / CARD).write_text(card_of(table, files), encoding="utf-8")
        with _refused(name):
            # One commit: nobody ever sees the rows of one push under the card of another.
            client.upload_folder(
                folder_path=folder,
                repo_id=address.repo_id,
                repo_type="dataset",
                commit_message="annotate export",
                delete_patterns="data/*",
            )
    return str(address)


def _check_there(there: Any, name: str, *, is_public: bool) -> None:
    """Raise ConfigError where a dataset that was there before is not to be pushed into: asked to
    make it, the hub leaves it as it is."""
    if is_public != (not there.private):
        now, so = ("private", "out") if there.private else ("public", "")
        raise ConfigError(
            f"--to hub:{name}: is there and {now}: change that in its settings, push with{so} "
            "--public, or take another name"
        )
    files = {each.rfilename for each in there.siblings or ()} - _EMPTY
    if files and TAG not in (getattr(there.card_data, "tags", None) or ()):
        raise ConfigError(
            f"--to hub:{name}: holds {len(files):,} files that no export pushed, such as "
            f"{min(files)}: take another name"
        )


@contextmanager
def _refused(name: str) -> Generator[None]:
    """What the hub or the way to it refuses becomes one line."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of whichever client is below it: httpx, requests
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            why = f"the hub refused it ({status}): {_NO_TOKEN}"
        else:
            line = " ".join(str(error).split())[:200] or type(error).__name__
            why = f"the hub could not be reached, or did not take it ({line})"
        raise ConfigError(f"--to hub:{name}: {why}") from None


def _write_splits(table: Joined, folder: Path) -> list[dict[str, str]]:
    """A Parquet file of each split, its rows in their order; the files as a card lists them."""
    files: dict[str, str] = {}
    with ExitStack() as stack:
        writers: dict[str, TableFile] = {}
        for split, row in table.rows():
            if split not in writers:
                files[split] = f"data/{split}.parquet"
                path = folder / files[split]
                writers[split] = stack.enter_context(table_file(path, table.columns))
            writers[split].write(row)
    return [{"split": split, "path": path} for split, path in files.items()]

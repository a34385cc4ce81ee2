"""Records what `test_golden_bytes.py` and `tests/trainer/test_golden_identity.py` hold.

python -m tests.journeys.golden.record             what comes of the scenes
python -m tests.journeys.golden.record --inputs    first of all what they begin with: the store, the
                                                   trainer's shards, and the folder of a run
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

from tests.journeys.golden.commands import Words, results
from tests.journeys.golden.scenes import EXPECTED, SCENES, set_out
from tests.journeys.golden.store_made import make_store
from tests.journeys.golden.store_scenes import STORE_SCENES, run_of, unpack

_WARNING = """\
WARNING: this is done only where a change of bytes is meant. What is recorded are the keys, digests
and values of stores and shards that people have: where one changes, answers that were paid for are
asked again, or finished runs are done again. Say in CHANGELOG.md which, and why.
"""
_INPUTS_WARNING = """\
WARNING: the store and the shards here stand for those that earlier versions left behind. Replaced
by new ones, nothing shows any more that old ones can be read: only where their format is another.
"""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", action="store_true", help="the store and shards, too")
    given = parser.parse_args()
    sys.stderr.write(_WARNING)
    if given.inputs:
        sys.stderr.write(_INPUTS_WARNING)
        _in_a_folder(make_store)
        _in_a_folder(_make_shards)
    found = {name: _in_a_folder(scene) for name, scene in {**SCENES, **STORE_SCENES}.items()}
    _write(EXPECTED, found)
    _record_trainer(inputs=given.inputs)


def _record_trainer(*, inputs: bool) -> None:
    from tests.trainer.golden import identities

    if inputs:
        _where_the_trainer_works(identities.make_finished)
    found = {
        name: _where_the_trainer_works(identity) for name, identity in identities.IDENTITIES.items()
    }
    _write(identities.EXPECTED, found)


def _where_the_trainer_works(work: Callable[[], Any]) -> Any:
    from tests.trainer.golden import identities

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        os.environ["XDG_CACHE_HOME"] = folder  # where tokens are kept
        identities.set_out(Path())
        return work()


def _make_shards(folder: Path) -> None:
    """What the store's answers give, as the trainer's splits; some reasons left out."""
    from tests.trainer.golden.identities import GOLDEN

    unpack(folder)
    more: dict[str, Words] = {
        "voted": ("--rationale-rate", "0.8", "--rows-per-shard", "12"),
        "batched": (),
        "half": (),
    }
    results(folder, *((*run_of(name), "--offline", *words) for name, words in more.items()))
    shutil.rmtree(GOLDEN / "shards", ignore_errors=True)
    for name, split in zip(more, ("train", "valid", "test"), strict=True):
        shutil.copytree(folder / "out" / name / split, GOLDEN / "shards" / split)


def _in_a_folder(work: Callable[[Path], Any]) -> Any:
    """Work in a folder in which tasks, rows and prices lie."""
    with tempfile.TemporaryDirectory() as folder:
        set_out(Path(folder))
        return work(Path(folder))


def _write(path: Path, found: Mapping[str, Any]) -> None:
    content = json.dumps(found, indent=1, ensure_ascii=False)
    path.write_text(f"{content}\n", encoding="utf-8")
    sys.stderr.write(f"{path.name}: {len(found)} recorded\n")


if __name__ == "__main__":
    main()

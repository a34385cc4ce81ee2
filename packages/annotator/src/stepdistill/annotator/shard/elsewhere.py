"""Shards of a split whose folder is at a URL: written here as ever, and then put there whole.

Nothing can be renamed there, so order does it. A claim comes first (`manifest.json.part`), which
says whose files are there; then the old manifest goes, shards and rejects are put, and the new
manifest is the last. So a folder with a manifest is complete there, too, whatever is killed.
"""

import hashlib
import shutil
from contextlib import suppress
from typing import Self

import orjson

from stepdistill.annotator.shard.jsonl import JsonlWriter, is_ours, own_files
from stepdistill.common.errors import NothingThere, ShardError, StorageError, StorageRefused
from stepdistill.common.files.storage import (
    cache_folder,
    delete,
    files_in,
    put,
    put_all,
    put_bytes,
    read_bytes,
)
from stepdistill.common.manifest import MANIFEST_NAME, REJECTS_NAME, Manifest
from stepdistill.common.urls import Place, Url

_CLAIM = f"{MANIFEST_NAME}.part"


def shard_writer(folder: Place, rows_per_shard: int) -> JsonlWriter:
    """The writer of one split's folder, wherever it is."""
    if isinstance(folder, Url):
        return _UrlWriter(folder, rows_per_shard)
    return JsonlWriter(folder, rows_per_shard)


class _UrlWriter(JsonlWriter):
    """The writer of a split's folder at a URL. Raises StorageError, too: already as it begins,
    where nothing may be written there."""

    def __init__(self, url: Url, rows_per_shard: int) -> None:
        # One folder for each URL: two runs of this machine do not write there at once.
        name = hashlib.sha256(url.address.encode()).hexdigest()
        super().__init__(cache_folder("staging") / name, rows_per_shard)
        self._url = url
        self._there: set[str] = set()  # files of ours at the URL
        self._was_claimed = self._is_changed = False

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._there = own_files(self._read)
            self._refuse_others_files_there()
            self._was_claimed = _CLAIM in self._files_there
            self._claim(self._there)  # nobody is asked, and paid, for what cannot be put
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if error is not None and not (self._is_changed or self._was_claimed):
            with suppress(StorageError):
                delete(self._url / _CLAIM)
        try:
            super().__exit__(kind, error, trace)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def publish(self, manifest: Manifest) -> None:
        """The last step: everything is put, and the folder there is complete."""
        names = [REJECTS_NAME, *(shard.file for shard in manifest.shards)]
        super().publish(manifest)
        self._claim({*self._there, *names})
        self._is_changed = True
        self._withdraw_manifest()
        put_all({self._url / name: self._folder / name for name in names})
        old = sorted(self._there.difference(names, [MANIFEST_NAME]))
        for name in old:
            self._delete(name)
        put(self._folder / MANIFEST_NAME, self._url / MANIFEST_NAME)
        self._delete(_CLAIM)

    def _claim(self, names: set[str], place: str = _CLAIM) -> None:
        listed = [{"file": name} for name in sorted(names - {MANIFEST_NAME})]
        content = {"fingerprint": "not complete", "shards": listed}
        put_bytes(orjson.dumps(content), self._url / place)

    def _withdraw_manifest(self) -> None:
        if MANIFEST_NAME not in self._there:
            return
        try:
            delete(self._url / MANIFEST_NAME)
        except StorageRefused:  # nothing may be removed: then it is made none
            self._claim(self._there, MANIFEST_NAME)

    def _delete(self, name: str) -> None:
        """What is no part of the run any more; where nothing may be removed it lies there, and the
        manifest does not name it."""
        with suppress(StorageRefused):
            delete(self._url / name)

    def _read(self, name: str) -> bytes:
        try:
            return read_bytes(self._url / name)
        except (NothingThere, StorageRefused):  # of what is not there many buckets say no more
            raise FileNotFoundError from None

    def _refuse_others_files(self) -> None:
        """What a run that was killed left here goes: nobody else is at work in this folder."""
        for path in self._folder.iterdir():
            path.unlink()
        self._own = set[str]()

    def _refuse_others_files_there(self) -> None:
        """Raises ShardError: a file of a name that this writes is there, and no manifest has it."""
        try:
            self._files_there = {*files_in(self._url)}
        except StorageRefused:  # nobody may look
            self._files_there = set(self._there)
        for name in sorted(self._files_there - self._there):
            if is_ours(name):
                raise ShardError(
                    f"{self._url / name}: no run wrote this, by the manifests there, so it is not "
                    "replaced: name another --out, or move it away"
                )

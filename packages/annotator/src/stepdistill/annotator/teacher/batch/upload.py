"""Sending a part: file up, batch created, each written into the ledger before it is done.

Where a kill or a lost connection leaves it open whether a call reached the teacher, the part stands
in `uploading` or `creating`; `resolve` asks the teacher what is there and goes on with it. So a
batch is neither lost nor created twice.
"""

import asyncio
import re
from collections import Counter
from contextlib import aclosing, suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from stepdistill.annotator.errors import (
    BadRequest,
    BatchQueueFull,
    BatchRefused,
    ConnectionLost,
    ModelGone,
    NotFound,
    RateLimited,
    RunStopped,
)
from stepdistill.annotator.teacher.batch.context import BatchContext
from stepdistill.annotator.teacher.batch.part import (
    BatchPart,
    RemoteBatch,
    RemoteFile,
    State,
    remote_prefix,
)
from stepdistill.annotator.teacher.batch.part_files import is_whole
from stepdistill.annotator.teacher.batch.protocols.protocol import BatchApi, BatchFileApi

# A teacher may need a moment until it lists what it has just made: pauses between looks.
_LOOK_AGAIN_S = (1.0, 5.0)
# Clocks differ: a batch is looked for among those created since a day before it was meant to be.
_SLACK_S = 86_400.0
_FILE_TRIES = 8
_LONGEST_BATCH = timedelta(hours=24)
_KEY = re.compile(rb'"([0-9a-f]{64})"')  # the name of a request, in a line of results
_LINES_READ = 20  # of results, to see whose they are


class Uploader:
    """Carries parts to the teacher. Methods raise TeacherError, and StoreError of the ledger."""

    def __init__(self, api: BatchApi, context: BatchContext) -> None:
        self._api, self._model = api, context.teacher.model
        self._files = api if isinstance(api, BatchFileApi) else None
        self._ledger, self._report = context.ledger, context.report
        self._not_seen: Counter[int] = Counter()  # how often a part's file was not seen
        self._sent_again: set[int] = set()  # numbers of parts whose file went up twice, as if lost
        self._knows_shutdown = False
        self._shutdown: date | None = None  # the day on which the model goes

    async def check_model(self) -> None:
        """Raises ModelGone when a batch that begins now could outlive its model."""
        if not self._knows_shutdown:
            self._shutdown = await self._api.shutdown_date(self._model)
            self._knows_shutdown = True
        day = self._shutdown
        if day is None:
            return
        now = datetime.fromtimestamp(self._ledger.now(), UTC)
        if datetime.combine(day, time(), UTC) < now + _LONGEST_BATCH:
            raise ModelGone(
                f"{self._model} is shut down on {day}, and a batch may take 24 h: name another "
                "--teacher, or leave out --batch-api while it lasts"
            )

    async def send(self, part: BatchPart) -> BatchPart:
        """Upload a part's file if need be, and create its batch. Raises FileNotFoundError when the
        part's file is not there as it was written."""
        path = self._ledger.folder / part.file_name
        # What went up is enough to make a batch of, whatever became of the file here.
        if part.state == "prepared" and not is_whole(path, part):
            raise FileNotFoundError(path)
        if part.state == "prepared" and self._files is not None:
            part = await self._upload(self._files, part, path)
        return await self._create(part, path)

    async def resolve(self, part: BatchPart) -> BatchPart:
        """Find out whether the call that was under way has reached the teacher."""
        if part.state == "uploading" and self._files is not None:
            return await self._find_file(self._files, part)
        if part.state == "uploading":  # to a provider that took files then
            return self._ledger.move(part, "prepared")
        if part.state == "creating":
            return await self._find_batch(part)
        return part

    async def withdraw(self, part: BatchPart) -> None:
        """Remove the file of a part that no batch was created for."""
        if self._files is not None and part.file_id is not None:
            await self._files.delete_file(part.file_id)

    async def _upload(self, files: BatchFileApi, part: BatchPart, path: Path) -> BatchPart:
        part = self._ledger.move(part, "uploading")
        self._report.event("uploading", part)
        try:
            file = await files.upload(part, path)
        except (BadRequest, NotFound, RateLimited, RunStopped) as error:
            self._ledger.move(part, "prepared")  # these say for sure that it is not there
            if isinstance(error, (RateLimited, RunStopped)):
                raise
            raise BatchRefused(f"the teacher does not take files for batches ({error})") from None
        return self._ledger.move(part, "uploaded", file_id=file.id)

    def put_back(self, part: BatchPart, **changes: object) -> BatchPart:
        """The part as it was before a batch was made of it: to be made again."""
        state: State = "prepared" if self._files is None else "uploaded"
        return self._ledger.move(part, state, **changes)

    async def _create(self, part: BatchPart, path: Path) -> BatchPart:
        part = self._ledger.move(part, "creating", submission=part.submission + 1)
        self._report.event("creating", part)
        try:
            batch = await self._api.create(part, path)
        except NotFound as error:
            if self._files is not None and part.number not in self._sent_again:
                raise self._file_not_seen(part, error) from None
            # Not its file is missing, but what it was to be made of: a model, an address.
            raise self._refused(part, error) from None
        except BadRequest as error:
            raise self._refused(part, error) from None
        except (RateLimited, BatchQueueFull, RunStopped):
            self.put_back(part)
            raise
        return self._submitted(part, batch)

    def _refused(self, part: BatchPart, error: Exception) -> BatchRefused:
        self.put_back(part)
        return BatchRefused(f"the teacher refused the batch of {part.file_name}: {error}")

    def _submitted(
        self, part: BatchPart, batch: RemoteBatch, *, is_unsure: bool = False
    ) -> BatchPart:
        self._not_seen.pop(part.number, None)
        at, found = self._ledger.now(), {"batch_id": batch.id, "is_unsure": is_unsure}
        part = self._ledger.save(part.moved("submitted", at, **found).seen(batch, at))
        self._report.event("submitted", part, batch=batch.id)
        return part

    def _file_not_seen(self, part: BatchPart, error: NotFound) -> ConnectionLost:
        """Its file is not seen: for a moment, or because it is gone, then it goes up again."""
        self._not_seen[part.number] += 1
        if self._not_seen[part.number] < _FILE_TRIES:
            self.put_back(part)
            return ConnectionLost(f"the teacher does not see {part.remote_name} yet ({error})")
        self._not_seen.pop(part.number)
        self._sent_again.add(part.number)
        self._ledger.move(part, "prepared", file_id=None)
        return ConnectionLost(
            f"the teacher has lost {part.remote_name}: it is sent again ({error})"
        )

    async def _find_file(self, files: BatchFileApi, part: BatchPart) -> BatchPart:
        """The part's file among those on the server; what else is there of ours and unused goes."""
        found: RemoteFile | None = None
        for file in await self._unused_files(files):
            as_is = files.sends_as_is and file.bytes is not None
            is_whole_there = not as_is or file.bytes == part.bytes
            if file.filename == part.remote_name and is_whole_there and found is None:
                found = file
            else:
                await files.delete_file(file.id)
                self._report.oddity("stray_file", f"removed {file.filename}: uploaded, never used")
        if found is None:
            return self._ledger.move(part, "prepared")
        self._report.oddity("found_file", f"{part.remote_name} had been uploaded: it is used")
        return self._ledger.move(part, "uploaded", file_id=found.id)

    async def _unused_files(self, files: BatchFileApi) -> list[RemoteFile]:
        """Files that runs of this ledger put there and that no part uses."""
        parts = self._ledger.parts()
        prefixes = tuple({remote_prefix(part.run) for part in parts})
        used = {part.file_id for part in parts}
        return [
            file
            async for file in files.files()
            if file.filename.startswith(prefixes) and file.id not in used
        ]

    async def _find_batch(self, part: BatchPart) -> BatchPart:
        """The batch that was created for this submission of this part: one, or none."""
        found = await self._look_for_batch(part)
        for pause_s in _LOOK_AGAIN_S:
            if found is None:
                await asyncio.sleep(pause_s)
                found = await self._look_for_batch(part)
        if found is None:
            return self.put_back(part)
        unsure = await self._is_of(found, part) is None
        told = "may be of this run, which its results will tell" if unsure else "had been created"
        self._report.oddity("found_batch", f"{found.id} {told}: it is waited for")
        return self._submitted(part, found, is_unsure=unsure)

    async def _look_for_batch(self, part: BatchPart) -> RemoteBatch | None:
        """The batch that is this part's; else one of which nobody can tell before it ends."""
        created = next(stamp for stamp in part.history[::-1] if stamp.state == "creating")
        since, others = created.at - _SLACK_S, self._ledger.parts()
        # What another part is not sure of may well be this one's.
        known = {other.batch_id for other in others if not other.is_unsure} | {*part.others}
        unsure: RemoteBatch | None = None
        async for batch in self._api.batches():  # the newest first
            if batch.created_at and batch.created_at < since:
                break
            is_ours = batch.id not in known and await self._is_of(batch, part)
            if is_ours:
                return batch
            unsure = batch if is_ours is None else unsure
        return unsure

    async def _is_of(self, batch: RemoteBatch, part: BatchPart) -> bool | None:
        """Whether it was created for this submission; None: it has to end before one can tell."""
        told = self._api.is_of(batch, part)
        if told is not None or not batch.ended:
            return told
        keys = {key.hex().encode() for key in self._ledger.keys(part.number)}
        return await self._asks_one_of(batch, keys)

    async def _asks_one_of(self, batch: RemoteBatch, keys: set[bytes]) -> bool:
        """Whether the first results of a batch are about some of these; it is somebody else's where
        there are none: then nothing can be had of it, whose ever it is."""
        if batch.output_file_id is None:
            return False
        n = 0
        async with aclosing(self._api.lines(batch.output_file_id, _tell_nobody)) as lines:
            with suppress(NotFound):
                async for line in lines:
                    if not keys.isdisjoint(_KEY.findall(line)):
                        return True
                    n += 1
                    if n == _LINES_READ:
                        break
        return False

    async def make_sure(self, part: BatchPart, batch: RemoteBatch) -> BatchPart | None:
        """The part of a batch that has ended; None where that turns out to be of others: then its
        own is looked for once more, and made if there is none."""
        sure: dict[str, object] = {"is_unsure": False}
        if not part.is_unsure:
            return part
        if await self._is_of(batch, part):
            return self._ledger.save(part.model_copy(update=sure))
        self._report.oddity("foreign_batch", f"{batch.id} is not of this run: it is let alone")
        sure |= {"state": "creating", "batch_id": None, "remote": None}
        self._ledger.save(part.model_copy(update={**sure, "others": (*part.others, batch.id)}))
        return None


def _tell_nobody(line: str) -> None:
    """A torn download that is only looked into is no news."""

"""No batch for a model that is shut down before the batch must be done."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from stepdistill.annotator.errors import ModelGone
from stepdistill.annotator.teacher.batch.api import BatchApi

_WINDOW = timedelta(hours=24)


class ModelGuard:
    """clock: seconds since 1970."""

    def __init__(self, api: BatchApi, model: str, clock: Callable[[], float]) -> None:
        self._api, self._model, self._clock = api, model, clock
        self._asked = False
        self._day: date | None = None

    async def check(self) -> None:
        """Raises ModelGone when a batch that begins now could outlive its model."""
        if not self._asked:
            self._day = await self._api.shutdown_date(self._model)
            self._asked = True
        if self._day is None:
            return
        gone_at = datetime.combine(self._day, time(), UTC)
        if gone_at < datetime.fromtimestamp(self._clock(), UTC) + _WINDOW:
            raise ModelGone(
                f"{self._model} is shut down on {self._day}, and a batch may take 24 h: name "
                "another --teacher, or leave out --batch-api while it lasts"
            )

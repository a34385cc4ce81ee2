"""What a server counts, as Prometheus reads it."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ServeMetrics:
    """Of one server. waiting: rows that nobody has begun with."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self.calls = Counter("stepdistill_calls", "Calls.", ["path", "status"], registry=registry)
        self.rows = Counter("stepdistill_rows", "Rows answered.", registry=registry)
        self.failed = Counter(
            "stepdistill_rows_failed", "Rows that the student failed at.", registry=registry
        )
        self.seconds = Histogram(
            "stepdistill_call_seconds",
            "Of a call of /predict.",
            buckets=_SECONDS,
            registry=registry,
        )
        held = Gauge("stepdistill_rows_waiting", "Rows that wait.", registry=registry)
        held.set_function(waiting)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

"""What Prometheus reads at /metrics: requests, claims by status, the age of the sweeps' last successes."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The API's own metrics, in a registry of their own, so that two apps in a process don't meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "claimdesk_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "claimdesk_http_request_seconds",
            "Seconds until a request was answered, by route.",
            ("method", "route"),
            registry=self._registry,
        )
        self._claims = Gauge("claimdesk_claims", "Claims on record, by status.", ("status",), registry=self._registry)
        self._sweep_age = Gauge(
            "claimdesk_sweep_age_seconds",
            "Seconds since a sweep last succeeded; absent while it never did.",
            ("sweep",),
            registry=self._registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered. `route` is the template, never the address with its ids."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def exposition(self, claims: Mapping[str, int], sweep_ages: Mapping[str, float]) -> bytes:
        """All of it in Prometheus' text format, with what the records say now."""
        self._claims.clear()
        for status, count in claims.items():
            self._claims.labels(status).set(count)
        self._sweep_age.clear()
        for sweep, seconds in sweep_ages.items():
            self._sweep_age.labels(sweep).set(seconds)
        return generate_latest(self._registry)

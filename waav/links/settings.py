"""Settings of the connections to vendors."""

from dataclasses import dataclass
from typing import Any, Final

from waav.settings import not_negative, positive, setting

PRESETS: Final[dict[str, dict[str, float]]] = {
    "default": {
        "requests": 256,
        "connections": 64,
        "connect_s": 5.0,
        "first_byte_s": 10.0,
        "request_s": 60.0,
        "tcp_keepalive_s": 5.0,
        "backoff_s": 0.2,
        "backoff_most_s": 3.2,
    },
    "low_latency": {
        "requests": 20,
        "connections": 1024,
        "connect_s": 0.25,
        "first_byte_s": 2.0,
        "request_s": 15.0,
        "tcp_keepalive_s": 3.0,
        "backoff_s": 0.05,
        "backoff_most_s": 0.3,
    },
    "high_throughput": {
        "requests": 50,
        "connections": 256,
        "connect_s": 1.0,
        "first_byte_s": 5.0,
        "request_s": 60.0,
        "tcp_keepalive_s": 10.0,
        "backoff_s": 0.2,
        "backoff_most_s": 1.0,
    },
}
"""What ``links.preset`` sets. ``default`` waits long and lets many requests run at once, since a
vendor that speaks in real time holds a request as long as the speech; ``low_latency`` gives up, and asks again, soon;
``high_throughput`` is for vendors that answer faster than they speak."""


def _warm(value: Any) -> str | None:
    """Check: a number of warm connections."""
    return None if 1 <= value <= 16 else "must be between 1 and 16"


def _preset(name: str, doc: str, unit: str = "") -> Any:
    """A setting that is the preset's unless it is set."""
    numbers = ", ".join(f"{preset} {values[name]:g}" for preset, values in PRESETS.items())
    return setting(None, f"{doc} Not set: by the preset ({numbers}).", unit=unit, check=positive)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """YAML section ``links``: limits towards every vendor."""

    preset: str = setting(
        "default",
        "Numbers for HTTP towards vendors; what is set by itself wins.",
        choices=tuple(PRESETS),
    )
    dial_s: float = setting(10.0, "Limit for connecting to a vendor.", unit="s", check=positive)
    connect_s: float = _preset("connect_s", "Limit for a TCP connection for HTTP.", "s")
    first_byte_s: float = _preset(
        "first_byte_s", "Limit for the first byte of an HTTP answer.", "s"
    )
    idle_s: float = setting(
        10.0, "Limit between two pieces of an HTTP answer.", unit="s", check=positive
    )
    request_s: float = _preset("request_s", "Limit for a whole HTTP answer.", "s")
    retries: int = setting(
        2,
        "How often a failed request is made again before any of its audio was delivered.",
        check=not_negative,
    )
    backoff_s: float = _preset(
        "backoff_s",
        "Upper bound of the wait before the first repetition; four times as long before each next.",
        "s",
    )
    backoff_most_s: float = _preset("backoff_most_s", "No wait before a repetition is longer.", "s")
    requests: int = _preset(
        "requests", "HTTP requests under way per vendor host at once; more wait their turn."
    )
    connections: int = _preset("connections", "Unused HTTP connections kept open per vendor host.")
    keep_s: float = setting(
        240.0, "How long an unused HTTP connection is kept open.", unit="s", check=positive
    )
    tcp_keepalive_s: float = _preset(
        "tcp_keepalive_s",
        "Silence after which the system asks whether the peer of an HTTP connection is still there.",
        "s",
    )
    warmup: str = setting(
        "configured",
        "Whether HTTP connections are opened before they are needed, to vendors with credentials.",
        choices=("configured", "off"),
    )
    warm: int = setting(
        1,
        "HTTP connections kept open and unused for such a vendor, from the start on.",
        check=_warm,
    )
    redials: int = setting(
        5, "How often a lost streaming connection is dialled again.", check=not_negative
    )
    replay_s: float = setting(
        30.0, "Most audio kept to be repeated after a lost connection.", unit="s", check=positive
    )
    backlog_s: float = setting(
        5.0,
        "Audio held for a vendor that is connecting or slow before the caller is paused.",
        unit="s",
        check=positive,
    )
    ping_s: float = setting(
        20.0,
        "WebSocket ping interval towards vendors; the pong must come within the same time.",
        unit="s",
        check=positive,
    )

    def __post_init__(self) -> None:
        _fill_in(self)


def _fill_in(settings: LinkSettings) -> None:
    """The preset's numbers, where nothing was set."""
    for name, number in PRESETS[settings.preset].items():
        if getattr(settings, name) is None:
            object.__setattr__(settings, name, number)

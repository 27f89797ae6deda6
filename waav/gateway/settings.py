"""Settings of what callers connect to."""

import re
from dataclasses import dataclass
from typing import Final

from waav.settings import not_negative, positive, setting

WORKERS_MAX: Final = 64
"""More processes than that have never been tried, and the memory they share grows with each."""


def _is_count(text: str) -> str | None:
    if text == "auto" or (re.fullmatch("[0-9]{1,3}", text) and 1 <= int(text) <= WORKERS_MAX):
        return None
    return f"must be auto or 1 to {WORKERS_MAX}"


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """YAML section ``server.tls``."""

    enabled: bool = setting(False, "Speak HTTPS and WSS on the same port.", env="TLS_ENABLED")
    cert_path: str | None = setting(None, "PEM certificate chain.", env="TLS_CERT_PATH")
    key_path: str | None = setting(None, "PEM private key of the certificate.", env="TLS_KEY_PATH")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """YAML section ``server``."""

    host: str = setting("0.0.0.0", "Address to listen on: IPv4, IPv6 or a name.", env="HOST")
    port: int = setting(
        3001,
        "Port to listen on; 0 takes a free one.",
        env="PORT",
        check=lambda n: None if 0 <= n <= 65535 else "must be 0 to 65535",
    )
    listen: tuple[str, ...] = setting(
        doc="Twisted endpoint strings to listen on instead of host and port.",
        factory=tuple,
        env="WAAV_LISTEN",
    )
    backlog: int = setting(511, "Connections that may wait to be accepted.", check=positive)
    drain_s: float = setting(
        30.0,
        "How long live calls may go on after SIGTERM.",
        unit="s",
        env="WAAV_DRAIN_S",
        check=not_negative,
    )
    workers: str = setting(
        "1",
        "Processes that share the port; auto: one per usable core. With 1 there is no second process.",
        env="WAAV_WORKERS",
        check=_is_count,
    )
    tls: TLSSettings = setting(doc="TLS", factory=TLSSettings)


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """YAML section ``security``: who may ask how often."""

    cors_allowed_origins: tuple[str, ...] = setting(
        doc='Origins whose pages may use the gateway besides its own, a list; "*": those of any.',
        factory=tuple,
        env="CORS_ALLOWED_ORIGINS",
    )
    rate_limit_requests_per_second: int = setting(
        60,
        "Requests per second and client address; 100000 or more switches the limiter off.",
        env="RATE_LIMIT_REQUESTS_PER_SECOND",
        check=positive,
    )
    rate_limit_burst_size: int = setting(
        10,
        "Requests a client may make at once before the rate applies.",
        env="RATE_LIMIT_BURST_SIZE",
        check=positive,
    )
    max_websocket_connections: int | None = setting(
        None,
        "WebSocket connections in all; not set: no limit.",
        env="MAX_WEBSOCKET_CONNECTIONS",
        check=positive,
    )
    max_connections_per_ip: int = setting(
        100,
        "WebSocket connections per client address (IPv6: per /64).",
        env="MAX_CONNECTIONS_PER_IP",
        check=positive,
    )
    trusted_proxies: tuple[str, ...] = setting(
        doc="Addresses or networks whose X-Forwarded-For is believed.",
        factory=tuple,
        env="TRUSTED_PROXIES",
    )
    max_body_bytes: int = setting(
        2 * 1024 * 1024, "Largest request body.", unit="bytes", check=positive
    )


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """YAML section ``websocket``: the life of a /ws connection."""

    idle_s: float = setting(
        300.0,
        "A connection on which nothing passes is closed after this, give or take 10 %.",
        unit="s",
        check=positive,
    )
    ping_s: float = setting(30.0, "Interval of server pings.", unit="s", check=positive)
    missed_pings: int = setting(
        2, "Unanswered pings after which a connection is closed.", check=positive
    )
    outgoing_messages: int = setting(
        1024, "Messages that may wait for a slow client before its call is paused.", check=positive
    )
    waiting_bytes: int = setting(
        4 * 1024 * 1024,
        "Messages held while a config is carried out before the client is paused.",
        unit="bytes",
        check=positive,
    )


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """YAML section ``console``: the web page to try the gateway with."""

    enabled: bool = setting(True, "Serve /console.", env="WAAV_CONSOLE")


@dataclass(frozen=True, slots=True)
class SpeechDefaults:
    """YAML section ``audio``: what a caller gets who does not say what he wants."""

    stt_provider: str = setting("local", "Recognition of waav listen and the console.")
    tts_provider: str = setting("local", "Synthesis of waav say and the console.")
    sample_rate: int = setting(
        24000, "Rate of synthesised audio when the caller names none.", unit="Hz", check=positive
    )
    speak_timeout_s: float = setting(30.0, "Limit for POST /speak.", unit="s", check=positive)
    speak_max_bytes: int = setting(
        10240, "Longest text of POST /speak.", unit="bytes", check=positive
    )

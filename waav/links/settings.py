"""Settings of the connections to vendors, and of the answer cache."""

from dataclasses import dataclass

from waav.settings import not_negative, positive, setting


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """YAML section ``links``: limits towards every vendor."""

    dial_s: float = setting(10.0, "Limit for connecting to a vendor.", unit="s", check=positive)
    first_byte_s: float = setting(
        10.0, "Limit for the first byte of an HTTP answer.", unit="s", check=positive
    )
    idle_s: float = setting(
        10.0, "Limit between two pieces of an HTTP answer.", unit="s", check=positive
    )
    request_s: float = setting(60.0, "Limit for a whole HTTP answer.", unit="s", check=positive)
    retries: int = setting(
        2,
        "How often a failed request is made again before any of its audio was delivered.",
        check=not_negative,
    )
    connections: int = setting(4, "Kept-open HTTP connections per vendor host.", check=positive)
    requests: int = setting(
        64,
        "HTTP requests under way per vendor host at once; more wait their turn.",
        check=positive,
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


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """YAML section ``cache``: synthesised audio that may be played again."""

    path: str | None = setting(
        None, "Folder of the file cache; not set: in memory.", env="CACHE_PATH"
    )
    ttl_seconds: int = setting(
        2592000,
        "How long an entry lives; 0 stores nothing.",
        unit="s",
        env="CACHE_TTL_SECONDS",
        check=not_negative,
    )
    max_memory_bytes: int = setting(
        64 * 1024 * 1024, "Most audio kept in memory.", unit="bytes", check=positive
    )
    max_entries: int = setting(10000, "Most entries kept in memory.", check=positive)
    max_disk_bytes: int | None = setting(
        None,
        "Most audio kept in files; least recently used goes first.",
        unit="bytes",
        check=positive,
    )
    max_entry_bytes: int = setting(
        5 * 1024 * 1024, "Largest single entry.", unit="bytes", check=positive
    )
    sweep_seconds: int = setting(
        3600, "How often expired files are removed.", unit="s", check=positive
    )

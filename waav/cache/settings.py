"""Settings of what is kept for a while."""

from dataclasses import dataclass

from waav.settings import not_negative, positive, setting


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

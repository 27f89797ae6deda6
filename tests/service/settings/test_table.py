"""Which test sees what a setting does."""

import importlib
import inspect
import unittest
from collections.abc import Iterator, Mapping

from twisted.trial.unittest import SynchronousTestCase

from waav.config.options import options
from waav.registry import Registry

HERE = "tests.service.settings."

EFFECTS: Mapping[str, tuple[str, ...]] = {
    "server.host": ("test_server.ListenTests.test_host",),
    "server.port": ("test_server.ListenTests.test_port",),
    "server.listen": ("test_server.ListenTests.test_listen",),
    "server.backlog": ("test_server.ListenTests.test_backlog",),
    "server.drain_s": (
        "test_server.EndTests.test_drain",
        "test_in_a_worker.DrainTests.test_drain",
    ),
    "server.workers": ("tests.service.test_workers.CallTests.test_a_crash_and_a_drain",),
    "server.tls.enabled": ("tests.service.test_tap.TLSTests.test_https",),
    "server.tls.cert_path": ("tests.service.test_tap.TLSTests.test_https",),
    "server.tls.key_path": ("tests.service.test_tap.TLSTests.test_https",),
    "security.cors_allowed_origins": (
        "test_callers.SecurityTests.test_cors",
        "test_in_a_worker.SharedSecurityTests.test_cors",
    ),
    "security.rate_limit_requests_per_second": (
        "test_callers.SecurityTests.test_rate",
        "test_in_a_worker.SharedSecurityTests.test_rate",
    ),
    "security.rate_limit_burst_size": (
        "test_callers.SecurityTests.test_burst",
        "test_in_a_worker.SharedSecurityTests.test_burst",
    ),
    "security.max_websocket_connections": (
        "test_callers.SecurityTests.test_all_connections",
        "test_in_a_worker.SharedSecurityTests.test_all_connections",
    ),
    "security.max_connections_per_ip": (
        "test_callers.SecurityTests.test_connections_of_one",
        "test_in_a_worker.SharedSecurityTests.test_connections_of_one",
    ),
    "security.trusted_proxies": (
        "test_callers.SecurityTests.test_proxies",
        "test_in_a_worker.SharedSecurityTests.test_proxies",
    ),
    "security.max_body_bytes": (
        "test_callers.SecurityTests.test_body",
        "test_in_a_worker.SharedSecurityTests.test_body",
    ),
    "websocket.idle_s": ("test_callers.WebSocketTests.test_idle",),
    "websocket.ping_s": ("test_callers.WebSocketTests.test_pings",),
    "websocket.missed_pings": ("test_callers.WebSocketTests.test_missed_pings",),
    "websocket.outgoing_messages": ("test_callers.WebSocketTests.test_outgoing_messages",),
    "websocket.waiting_bytes": ("test_callers.WebSocketTests.test_waiting_bytes",),
    "console.enabled": ("test_callers.ConsoleTests.test_console",),
    "audio.stt_provider": ("test_callers.AudioTests.test_providers",),
    "audio.tts_provider": ("test_callers.AudioTests.test_providers",),
    "audio.sample_rate": ("test_callers.AudioTests.test_sample_rate",),
    "audio.speak_timeout_s": ("test_callers.AudioTests.test_speak_timeout",),
    "audio.speak_max_bytes": ("test_callers.AudioTests.test_speak_length",),
    "links.preset": ("test_links.LimitTests.test_preset",),
    "links.dial_s": ("test_links.LimitTests.test_dial",),
    "links.connect_s": ("test_links.LimitTests.test_connect",),
    "links.first_byte_s": ("test_links.LimitTests.test_first_byte",),
    "links.idle_s": ("test_links.LimitTests.test_idle",),
    "links.request_s": ("test_links.LimitTests.test_request",),
    "links.retries": ("test_links.RepetitionTests.test_retries",),
    "links.backoff_s": ("test_links.RepetitionTests.test_backoff",),
    "links.backoff_most_s": ("test_links.RepetitionTests.test_longest_backoff",),
    "links.requests": (
        "test_links.PoolTests.test_requests",
        "tests.service.test_worker_process.SupervisedTests.test_limits_are_divided",
    ),
    "links.connections": ("test_links.PoolTests.test_connections",),
    "links.keep_s": ("test_links.PoolTests.test_keep",),
    "links.tcp_keepalive_s": ("test_links.PoolTests.test_tcp_keepalive",),
    "links.warmup": ("test_links.PoolTests.test_warmup",),
    "links.warm": ("test_links.PoolTests.test_warm",),
    "links.redials": ("test_links.StreamTests.test_redials",),
    "links.replay_s": ("test_links.StreamTests.test_replay",),
    "links.backlog_s": ("test_links.StreamTests.test_backlog",),
    "links.ping_s": ("test_links.StreamTests.test_pings",),
    "cache.path": (
        "test_cache.FileTests.test_path",
        "test_in_a_worker.SharedCacheTests.test_path",
    ),
    "cache.ttl_seconds": ("test_cache.MemoryTests.test_ttl",),
    "cache.max_memory_bytes": (
        "test_cache.MemoryTests.test_memory",
        "test_in_a_worker.SharedCacheTests.test_memory",
    ),
    "cache.max_entries": (
        "test_cache.MemoryTests.test_entries",
        "test_in_a_worker.SharedCacheTests.test_entries",
    ),
    "cache.max_disk_bytes": ("test_cache.FileTests.test_disk",),
    "cache.max_entry_bytes": ("test_cache.MemoryTests.test_largest_entry",),
    "cache.sweep_seconds": ("test_cache.FileTests.test_sweep",),
    "models.path": ("test_models.WorkTests.test_path",),
    "models.index_url": ("test_fetching.FetchingTests.test_index",),
    "models.offline": ("test_fetching.FetchingTests.test_offline",),
    "models.process": ("test_models.WorkTests.test_process",),
    "models.threads": ("test_models.WorkTests.test_threads",),
    "models.queue": ("test_models.WorkTests.test_queue",),
    "turn_detection.enabled": ("test_models.TurnDetectionTests.test_enabled",),
    "turn_detection.required": (
        "test_models.TurnDetectionTests.test_required",
        "tests.service.test_tap.OptionsTests.test_a_required_model_that_is_not_there",
    ),
    "turn_detection.threshold": ("test_models.TurnDetectionTests.test_threshold",),
    "turn_detection.source": ("test_fetching.FetchingTests.test_source",),
    "turn_detection.sha256": ("test_fetching.FetchingTests.test_digest",),
    "noise_filter.enabled": (
        "test_models.NoiseFilterTests.test_enabled",
        "tests.service.test_tap.OptionsTests.test_a_noise_filter_that_is_not_there",
    ),
    "noise_filter.engine": ("test_models.NoiseFilterTests.test_engine",),
    "noise_filter.mix": ("test_models.NoiseFilterTests.test_mix",),
    "noise_filter.max_backlog_ms": ("test_models.NoiseFilterTests.test_backlog",),
    "speech_final.wait_ms": ("test_turns.SpeechFinalTests.test_wait",),
    "speech_final.inference_timeout_ms": ("test_models.TurnDetectionTests.test_inference_timeout",),
    "speech_final.hard_timeout_ms": ("test_turns.SpeechFinalTests.test_hard_timeout",),
    "speech_final.duplicate_window_ms": ("test_turns.SpeechFinalTests.test_duplicates",),
    "speech_final.interim_rearms": ("test_turns.SpeechFinalTests.test_interims",),
    "speech_final.hard_timeout_from": (
        "test_turns.SpeechFinalTests.test_what_the_limit_counts_from",
    ),
    "speech_final.forced_text": ("test_turns.SpeechFinalTests.test_text",),
    "speech_final.providers": ("test_turns.SpeechFinalTests.test_of_one_provider",),
    "interruption.block_stt": (
        "test_turns.InterruptionTests.test_pass",
        "test_turns.InterruptionTests.test_buffer",
    ),
    "interruption.max_lock_s": ("test_turns.InterruptionTests.test_longest_lock",),
    "call.ready_s": ("test_turns.CallTests.test_ready",),
    "call.audio_gap_ms": ("test_turns.CallTests.test_audio_gap",),
    "call.flush_delay_ms": ("test_turns.CallTests.test_flush_delay",),
    "logging.level": (
        "test_watching.LoggingTests.test_level",
        "tests.service.test_worker_process.SupervisedTests.test_log_level",
    ),
    "logging.json": ("test_watching.LoggingTests.test_json",),
    "diagnostics.stall_ms": ("test_watching.DiagnosticsTests.test_stall",),
    "diagnostics.stall_log_s": ("test_watching.DiagnosticsTests.test_stall_log",),
    "metrics.listen": ("test_watching.MetricsTests.test_listen",),
    "metrics.token": ("test_watching.MetricsTests.test_token",),
    # Every provider has these, and one test asks for all of them.
    "providers.*.credential": ("test_providers.EveryVendorTests.test_credentials",),
    "providers.*.endpoint": ("test_providers.EveryVendorTests.test_endpoint",),
    "providers.*.options": (
        "test_providers.EveryVendorTests.test_options",
        "test_providers.OptionTests.test_in_a_call",
        "test_providers.OptionTests.test_with_a_callers_key",
    ),
}
"""For each setting the tests that configure it in a whole gateway and see what it does; their docstrings say what."""


def rows() -> Iterator[str]:
    """What the configuration has, as ``EFFECTS`` calls it."""
    for path, option in options(Registry.discover()).items():
        if not path.startswith("providers."):
            yield path
        elif option.credential is not None:
            yield "providers.*.credential"
        else:
            yield f"providers.*.{path.rpartition('.')[2]}"


class TableTests(SynchronousTestCase):
    def test_every_setting_has_a_row(self) -> None:
        """A setting that nobody has seen take effect does not get in; one that is gone leaves no row behind."""
        self.assertEqual(set(EFFECTS), set(rows()))

    def test_every_row_has_tests(self) -> None:
        """Each test in the table is there, is run, and says what the setting does."""
        for path, names in EFFECTS.items():
            self.assertTrue(names, path)
            for name in names:
                full = name if name.startswith("tests.") else HERE + name
                module, case, method = full.rsplit(".", 2)
                found = getattr(importlib.import_module(module), case)
                self.assertTrue(issubclass(found, unittest.TestCase), full)
                self.assertTrue(method.startswith("test_"), full)
                self.assertTrue(inspect.getdoc(getattr(found, method)), full)

    def test_the_tests_name_their_settings(self) -> None:
        """A test of a setting sets it: its key is in the source of the test or of its class."""
        for path, names in EFFECTS.items():
            key = path.rpartition(".")[2]
            for name in names:
                full = name if name.startswith("tests.") else HERE + name
                module, case, _ = full.rsplit(".", 2)
                found = getattr(importlib.import_module(module), case)
                sources = [
                    inspect.getsource(one)
                    for one in found.__mro__[:-1]
                    if one.__module__.startswith("tests.")
                ]
                self.assertIn(key, "".join(sources), full)

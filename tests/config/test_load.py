"""The configuration: where values come from, and what happens to wrong ones."""

import ast
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import write_pair
from waav.config.load import Config, ConfigProblems, Loaded, accounts, load, missing
from waav.config.options import SECTIONS, Option, Wrong, declared, options
from waav.config.text import shown
from waav.errors import ConfigError, MissingCredentials, check_all
from waav.registry import Registry
from waav.secret import Secret
from waav.speech.provider import Account, Credential, Provider
from waav.speech.wire import Dialogue


def nothing(settings: object, account: Account) -> Dialogue:
    raise AssertionError("nothing is dialled here")


def no_colours(account: Account) -> None:
    def check(name: str) -> None:
        if name in account.options:
            raise ConfigError(f"there are no {name}s", f"options.{name}")

    check_all(lambda: check("colour"), lambda: check("taste"))


ACME = Provider(
    "acme",
    title="Acme",
    aliases=("acme-ai",),
    credentials=(
        Credential("api_key", "ACME_API_KEY", "acme_api_key", "Acme API key"),
        Credential(
            "region",
            "ACME_REGION",
            "acme_region",
            "Acme region",
            is_required=False,
            is_secret=False,
        ),
    ),
    listen=nothing,
    speak=nothing,
    check=no_colours,
)
POLY = Provider(
    "poly",
    title="Poly",
    credentials=(
        Credential("user", "POLY_USER", "poly_user", "Poly user id", is_secret=False),
        Credential("token", "POLY_TOKEN", "poly_token", "Poly token"),
    ),
    listen=nothing,
)
LOCAL = Provider("local", title="Local", listen=nothing, speak=nothing)
REGISTRY = Registry([ACME, POLY, LOCAL])


class ConfigCase(SynchronousTestCase):
    """Writes files and loads them."""

    def write(self, text: str, name: str = "waav.yaml") -> Path:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        path = folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def load(
        self,
        yaml: str | None = None,
        env: Mapping[str, str] | None = None,
        dotenv: str | None = None,
        **more: Any,
    ) -> Loaded:
        path = None if yaml is None else self.write(yaml)
        file = None if dotenv is None else self.write(dotenv, ".env")
        return load(REGISTRY, path, environ=env, dotenv=file, **more)

    def problems(self, *arguments: Any, **more: Any) -> list[str]:
        error = self.assertRaises(ConfigProblems, self.load, *arguments, **more)
        return [str(problem) for problem in error.problems]

    def refused(self, path: str, *arguments: Any, **more: Any) -> str:
        """The one problem, which must be about ``path``."""
        found = self.problems(*arguments, **more)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"{path}: "), found[0])
        return found[0]


def texts_for(option: Option) -> tuple[str, str, str]:
    """Three different texts that the option takes, none of them its default."""
    special = {
        "server.host": ("127.0.0.1", "127.0.0.2", "127.0.0.3"),
        "server.listen": ("tcp:1", "tcp:2", "tcp:3"),
        "server.workers": ("2", "3", "auto"),
        "metrics.listen": ("tcp:1", "tcp:2", "tcp:3"),
        "security.cors_allowed_origins": ("https://a.test", "https://b.test", "*"),
        "security.trusted_proxies": ("10.0.0.1", "10.0.0.2", "10.0.0.0/8"),
        "audio.stt_provider": ("acme", "poly", "acme-ai"),
        "audio.tts_provider": ("acme", "acme-ai", "ACME"),
        "models.index_url": ("https://a.test/", "https://b.test/", "https://c.test/"),
        "turn_detection.sha256": ("a" * 64, "b" * 64, "c" * 64),
        "turn_detection.threshold": ("0.1", "0.2", "0.3"),
        "noise_filter.mix": ("0.1", "0.2", "0.3"),
        "speech_final.providers": (
            '{"acme": {"wait_ms": 1}}',
            '{"acme": {"wait_ms": 2}}',
            '{"acme": {"wait_ms": 3}}',
        ),
    }
    if option.path in special:
        return special[option.path]
    if option.path.endswith(".options"):
        return '{"a": 1}', '{"a": 2}', '{"a": 3}'
    if option.is_url:
        return "https://a.test", "https://b.test", "wss://c.test"
    if option.choices:
        values = [str(choice) for choice in option.choices if choice != option.default]
        return values[0], values[-1], str(option.choices[-1])
    if option.kind is bool:
        return str(not option.default), str(option.default), str(not option.default)
    if option.kind in (int, float):
        return "11", "12", "13"
    return "one", "two", "three"


def yaml_of(path: str, text: str) -> str:
    """A file that sets one option."""
    *sections, key = path.split(".")
    opened = [f"{'  ' * depth}{name}:" for depth, name in enumerate(sections)]
    quoted = text if text.startswith("{") else f"'{text}'"
    return "\n".join([*opened, f"{'  ' * len(sections)}{key}: {quoted}"])


class PrecedenceTests(ConfigCase):
    # Without these an option cannot be set to anything, whichever layer sets it.
    NEEDED: Mapping[str, Mapping[str, str]] = {
        "turn_detection.source": {"WAAV_TURN_DETECTION_SHA256": "a" * 64},
    }

    def sources(self, option: Option) -> tuple[str, dict[str, str], str, list[Any]]:
        texts = texts_for(option)
        needed = self.NEEDED.get(option.path, {})
        yaml = yaml_of(option.path, texts[0])
        values = [option.read(text) for text in texts]
        return yaml, {option.env: texts[1], **needed}, f"{option.env}={texts[2]}", values

    def checked(self) -> list[Option]:
        # TLS needs files that exist; it is looked at on its own.
        return [
            option
            for option in options(REGISTRY).values()
            if not option.path.startswith("server.tls.")
        ]

    def test_every_option_in_every_layer(self) -> None:
        """Each option comes from YAML, else the environment, else .env, else its default, as the layers
        are taken away one by one (CFG-01, F-001, F-002, F-003, F-004, S-CFG-01)."""
        for option in self.checked():
            yaml, env, dotenv, values = self.sources(option)
            needed = {name: text for name, text in env.items() if name != option.env}
            loaded = self.load(yaml, env, dotenv)
            self.assertEqual(loaded.values[option.path], values[0], option.path)
            self.assertIn("waav.yaml line", loaded.origins[option.path])
            loaded = self.load(None, env, dotenv)
            self.assertEqual(loaded.values[option.path], values[1], option.path)
            self.assertEqual(loaded.origins[option.path], f"environment: {option.env}")
            loaded = self.load(None, needed, dotenv)
            self.assertEqual(loaded.values[option.path], values[2], option.path)
            self.assertEqual(loaded.origins[option.path], f".env line 1: {option.env}")
            loaded = self.load(None, {}, "")
            self.assertEqual(loaded.values[option.path], option.default, option.path)
            self.assertNotIn(option.path, loaded.origins)

    def test_the_environment_can_come_first(self) -> None:
        """With precedence "env" each option's environment variable wins over YAML, and .env still comes
        after both."""
        for option in self.checked():
            yaml, env, dotenv, values = self.sources(option)
            loaded = self.load(yaml, env, dotenv, precedence="env")
            self.assertEqual(loaded.values[option.path], values[1], option.path)
            needed = {name: text for name, text in env.items() if name != option.env}
            loaded = self.load(yaml, needed, dotenv, precedence="env")
            self.assertEqual(loaded.values[option.path], values[0], option.path)

    def test_the_precedence_is_a_variable_too(self) -> None:
        """WAAV_CONFIG_PRECEDENCE=env puts the environment first."""
        env = {"WAAV_CONFIG_PRECEDENCE": "env", "PORT": "5000"}
        self.assertEqual(self.load("server: {port: 4000}", env).config.server.port, 5000)

    def test_an_unknown_precedence_is_refused(self) -> None:
        """WAAV_CONFIG_PRECEDENCE takes two words only."""
        text = self.refused("WAAV_CONFIG_PRECEDENCE", env={"WAAV_CONFIG_PRECEDENCE": "dotenv"})
        self.assertIn("yaml or env", text)

    def test_layers_that_differ_are_told(self) -> None:
        """A line names the option, the winner and the loser, never a value (S-CFG-04)."""
        loaded = self.load(
            "providers: {acme_api_key: topsecret1}",
            {"ACME_API_KEY": "topsecret2"},
            "ACME_API_KEY=topsecret1",
        )
        told = "providers.acme.api_key has different values: YAML wins over environment"
        self.assertEqual(loaded.notices, (told,))

    def test_blank_means_not_set(self) -> None:
        """A blank YAML entry does not hide the environment's value (S-CFG-05)."""
        loaded = self.load("providers: {acme_api_key: '  '}", {"ACME_API_KEY": "from-env"})
        self.assertEqual(loaded.config.providers["acme"].key, Secret("from-env"))
        self.assertEqual(self.load("server: {port: }", {"PORT": ""}).config.server.port, 3001)

    def test_lists_are_replaced_as_a_whole(self) -> None:
        """The strongest list that is not empty is taken; lists are not merged (S-CFG-06, S-CFG-14)."""
        env = {"TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2,,"}
        loaded = self.load("security: {trusted_proxies: [10.9.9.9]}", env)
        self.assertEqual(loaded.config.security.trusted_proxies, ("10.9.9.9",))
        loaded = self.load("security: {trusted_proxies: []}", env)
        self.assertEqual(loaded.config.security.trusted_proxies, ("10.0.0.1", "10.0.0.2"))

    def test_dotenv_syntax(self) -> None:
        """Comments, export, both kinds of quotes and blanks around the sign are understood (F-003)."""
        loaded = self.load(
            dotenv="""\
            # comment
            export HOST = 127.0.0.9   # the address

            PORT='4000' # quoted
            ACME_API_KEY="with \\"quotes\\" # and a hash"
            ACME_REGION=a#b
            """
        )
        self.assertEqual(loaded.config.server.host, "127.0.0.9")
        self.assertEqual(loaded.config.server.port, 4000)
        account = loaded.config.providers["acme"]
        assert account.key is not None
        self.assertEqual(account.key.reveal(), 'with "quotes" # and a hash')
        self.assertEqual(account.credentials["region"], "a#b")

    def test_dotenv_mistakes_are_told(self) -> None:
        """A line that is no setting and a name set twice stop the start."""
        found = self.problems(dotenv="PORT 4000\nHOST=127.0.0.1\nHOST=127.0.0.2")
        self.assertEqual(len(found), 2)
        self.assertIn("line 1", found[0])
        self.assertIn("HOST is set twice", found[1])

    def test_defaults_without_any_file(self) -> None:
        """Without a file everything is as the settings classes say (F-005, F-017, F-022, F-028)."""
        config = self.load().config
        self.assertEqual((config.server.host, config.server.port), ("0.0.0.0", 3001))
        self.assertFalse(config.server.tls.enabled)
        self.assertEqual((config.cache.path, config.cache.ttl_seconds), (None, 30 * 24 * 3600))
        security = config.security
        self.assertEqual(
            (security.rate_limit_requests_per_second, security.rate_limit_burst_size), (60, 10)
        )
        self.assertEqual(
            (security.max_connections_per_ip, security.max_websocket_connections), (100, None)
        )
        for field in fields(Config):
            if field.name != "providers":
                self.assertEqual(getattr(config, field.name), getattr(Config(), field.name))

    def test_it_cannot_be_changed(self) -> None:
        """Neither a section nor a mapping in it can be set after start (S-CFG-11)."""
        config = self.load("providers: {acme: {options: {deep: {er: [1]}}}}").config
        with self.assertRaises(FrozenInstanceError):
            config.server = None  # type: ignore[misc, assignment]
        with self.assertRaises(TypeError):
            config.providers["acme"] = Account()  # type: ignore[index]
        options = config.providers["acme"].options
        with self.assertRaises(TypeError):
            options["deep"]["er"] = 2
        self.assertEqual(options["deep"]["er"], (1,))


class ValueTests(ConfigCase):
    def test_booleans(self) -> None:
        """true, 1, yes, false, 0 and no are understood in any case and with blanks around (F-024, S-CFG-12)."""
        for text in ("true", "1", "yes", "TRUE", "Yes", " true "):
            self.assertTrue(self.load(env={"WAAV_LOG_JSON": text}).config.logging.json, text)
            self.assertTrue(self.load(f"logging: {{json: {text}}}").config.logging.json, text)
        for text in ("false", "0", "no", "FALSE", "No", " no "):
            self.assertFalse(self.load(env={"WAAV_CONSOLE": text}).config.console.enabled, text)
            self.assertFalse(self.load(f"console: {{enabled: {text}}}").config.console.enabled)

    def test_other_texts_are_no_booleans(self) -> None:
        """Whatever else stops the start and names the option and the text, in YAML too (CFG-03, S-CFG-13)."""
        for text in ("on", "off", "y", "maybe", "2", "tru", "yes!"):
            for arguments in (
                {"env": {"TLS_ENABLED": text}},
                {"yaml": f"server: {{tls: {{enabled: {text}}}}}"},
                {"dotenv": f"TLS_ENABLED={text}"},
            ):
                told = self.refused("server.tls.enabled", **arguments)
                self.assertIn(repr(text), told)

    def test_numbers(self) -> None:
        """A malformed number or one that makes no sense stops the start and names key and layer (CFG-04, S-CFG-09)."""
        for variable, path, texts in (
            ("PORT", "server.port", ("x", "70000", "-1", "1.5", "0x10", "٣")),
            ("MAX_CONNECTIONS_PER_IP", "security.max_connections_per_ip", ("0", "-5", "many")),
            ("RATE_LIMIT_BURST_SIZE", "security.rate_limit_burst_size", ("0",)),
            ("MAX_WEBSOCKET_CONNECTIONS", "security.max_websocket_connections", ("0",)),
            ("WAAV_DRAIN_S", "server.drain_s", ("nan", "inf", "-1", "soon")),
            ("WAAV_NOISE_FILTER_MIX", "noise_filter.mix", ("1.1", "-0.1")),
            ("CACHE_TTL_SECONDS", "cache.ttl_seconds", ("-1", "1d")),
        ):
            for text in texts:
                told = self.refused(path, env={variable: text})
                self.assertIn(f"[environment: {variable}]", told)

    def test_every_source(self) -> None:
        """A limit that makes no sense is refused wherever it stands: YAML, environment or .env file (D-75)."""
        for arguments in (
            {"yaml": "security: {rate_limit_burst_size: 0}"},
            {"env": {"RATE_LIMIT_BURST_SIZE": "0"}},
            {"dotenv": "RATE_LIMIT_BURST_SIZE=0"},
        ):
            self.refused("security.rate_limit_burst_size", **arguments)

    def test_the_layer_that_loses_is_checked_too(self) -> None:
        """A malformed value is told even where another layer wins."""
        self.refused("server.port", yaml="server: {port: 4000}", env={"PORT": "x"})

    def test_shapes(self) -> None:
        """A list or mapping where a text belongs, and the other way round, is told with its line (CFG-04)."""
        for yaml, path in (
            ("server: {port: [1]}", "server.port"),
            ("server: {host: {a: b}}", "server.host"),
            ("server: 5", "server"),
            ("security: {trusted_proxies: {a: b}}", "security.trusted_proxies"),
            ("security: {trusted_proxies: [[a]]}", "security.trusted_proxies"),
            ("providers: {acme: {options: 5}}", "providers.acme.options"),
            ("providers: {acme: key}", "providers.acme"),
            ("logging: {level: loud}", "logging.level"),
            ("- a", ""),
        ):
            (told,) = self.problems(yaml)
            self.assertTrue(told.startswith(path), told)
            self.assertIn("line 1]", told)

    def test_addresses_and_names(self) -> None:
        """IPv4, IPv6 with and without brackets and names are hosts; nonsense is not (F-005)."""
        for host in ("localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"):
            self.assertEqual(self.load(env={"HOST": host}).config.server.host, host)
        for host in ("no such host", "300.1.1.1.", "-"):
            self.refused("server.host", env={"HOST": host})

    def test_endpoints(self) -> None:
        """What is no Twisted endpoint string is told before anything listens."""
        loaded = self.load(env={"WAAV_LISTEN": "tcp:8080:interface=127.0.0.1,unix:/tmp/x"})
        self.assertEqual(len(loaded.config.server.listen), 2)
        for text in ("carrier-pigeon:5", "tcp:not-a-port", "tcp", ""):
            if text:
                self.assertIn(text, self.refused("server.listen", env={"WAAV_LISTEN": text}))

    def test_origins(self) -> None:
        """Each allowed origin is an origin or the star, in a comma list or a YAML list (F-045, S-CFG-31)."""
        for text, listed in (
            ("*", ("*",)),
            ("https://a.test", ("https://a.test",)),
            ("https://a.test, http://localhost:3000", ("https://a.test", "http://localhost:3000")),
        ):
            origins = self.load(env={"CORS_ALLOWED_ORIGINS": text}).config.security
            self.assertEqual(origins.cors_allowed_origins, listed)
            quoted = ", ".join(f'"{one}"' for one in listed)
            for yaml in (f'"{text}"', f"[{quoted}]"):
                found = self.load(f"security: {{cors_allowed_origins: {yaml}}}").config.security
                self.assertEqual(found.cors_allowed_origins, listed)
        for text in ("a.test", "https://a.test/path", "https://a.test, *", "https://", "null"):
            self.refused("security.cors_allowed_origins", env={"CORS_ALLOWED_ORIGINS": text})

    def test_networks(self) -> None:
        """Trusted proxies are addresses and networks that exist."""
        good = "192.0.2.0/24,2001:db8::/32,10.0.0.1"
        self.assertEqual(
            len(self.load(env={"TRUSTED_PROXIES": good}).config.security.trusted_proxies), 3
        )
        for text in ("999.1.1.1", "10.0.0.0/33", "abc"):
            self.refused("security.trusted_proxies", env={"TRUSTED_PROXIES": text})

    def test_default_providers_exist(self) -> None:
        """The providers that are used by default exist and can do it."""
        self.refused("audio.stt_provider", yaml="audio: {stt_provider: nobody}")
        self.assertIn(
            "poly", self.refused("audio.tts_provider", yaml="audio: {tts_provider: poly}")
        )

    def test_cache_folder(self) -> None:
        """A cache path that is a file, or in a place that cannot be written, stops the start (S-CACHE-09)."""
        file = self.write("x", "file")
        self.refused("cache.path", env={"CACHE_PATH": str(file)})
        self.refused("cache.path", env={"CACHE_PATH": str(file / "below")})
        self.refused("cache.path", env={"CACHE_PATH": "/proc/waav"})
        folder = file.parent / "new" / "cache"
        self.assertEqual(self.load(env={"CACHE_PATH": str(folder)}).config.cache.path, str(folder))
        self.assertEqual([one.name for one in file.parent.iterdir()], ["file"])

    def test_index_addresses(self) -> None:
        """The package index is an address; a model from elsewhere needs its hash."""
        self.refused("models.index_url", yaml="models: {index_url: ftp://x}")
        self.refused("models.index_url", yaml="models: {index_url: 'file:///srv/simple'}")
        self.refused("turn_detection.sha256", yaml="turn_detection: {source: 'https://x/y'}")
        self.refused("turn_detection.sha256", yaml="turn_detection: {sha256: abc}")

    def test_per_provider_timing(self) -> None:
        """speech_final.providers takes the keys of speech_final, by any name of a provider."""
        yaml = "speech_final: {providers: {acme-ai: {wait_ms: 900, interim_rearms: false}}}"
        timing = self.load(yaml).config.speech_final.providers
        self.assertEqual(timing["acme"], {"wait_ms": 900, "interim_rearms": False})
        for yaml, path in (
            ("{acme: {wait_mss: 1}}", "speech_final.providers.acme.wait_mss"),
            ("{acme: {wait_ms: soon}}", "speech_final.providers.acme.wait_ms"),
            ("{nobody: {wait_ms: 1}}", "speech_final.providers.nobody"),
            ("{acme: 1}", "speech_final.providers.acme"),
        ):
            self.refused(path, yaml=f"speech_final: {{providers: {yaml}}}")


class TLSTests(ConfigCase):
    def tls(self, cert: object, key: object) -> str:
        return f"server: {{tls: {{enabled: true, cert_path: '{cert}', key_path: '{key}'}}}}"

    def test_a_pair_is_accepted(self) -> None:
        """A certificate with its key is what TLS needs (F-006)."""
        cert, key = write_pair(Path(self.mktemp()))
        self.assertTrue(self.load(self.tls(cert, key)).config.server.tls.enabled)

    def test_paths_are_needed(self) -> None:
        """TLS without files does not start, from YAML and from the environment alike (F-006, F-025, S-CFG-08, D-75)."""
        for arguments in (
            {"yaml": "server: {tls: {enabled: true}}"},
            {"env": {"TLS_ENABLED": "1"}},
        ):
            found = self.problems(**arguments)
            self.assertEqual(
                [one.split(":")[0] for one in found],
                ["server.tls.cert_path", "server.tls.key_path"],
            )

    def test_endpoint_strings_bring_their_own(self) -> None:
        """TLS beside endpoint strings, which it could not apply to, is refused instead of ignored."""
        cert, key = write_pair(Path(self.mktemp()))
        env = {"WAAV_LISTEN": "tcp:8080"}
        self.assertIn("ssl:", self.refused("server.tls.enabled", self.tls(cert, key), env))

    def test_files_must_be_what_they_should(self) -> None:
        """Missing files, files of another kind and a key of another certificate are told (F-025, CFG-04)."""
        cert, key = write_pair(Path(self.mktemp()))
        _, other = write_pair(Path(self.mktemp()))
        self.refused("server.tls.cert_path", self.tls("/nowhere", key))
        self.refused("server.tls.key_path", self.tls(cert, cert))
        self.refused("server.tls.cert_path", self.tls(key, key))
        self.assertIn("not the key of", self.refused("server.tls.key_path", self.tls(cert, other)))

    def test_all_that_is_wrong_with_files(self) -> None:
        """A certificate that is not there is told also when the path of the key is missing, and the other way round."""
        for given, absent in (("cert_path", "key_path"), ("key_path", "cert_path")):
            found = self.problems(f"server: {{tls: {{enabled: true, {given}: /nowhere}}}}")
            self.assertEqual(len(found), 2, found)
            self.assertTrue(found[0].startswith(f"server.tls.{absent}: is needed"), found)
            self.assertTrue(found[1].startswith(f"server.tls.{given}: cannot read /nowhere"), found)


class UnknownKeyTests(ConfigCase):
    def test_everything_wrong_is_told_at_once(self) -> None:
        """Unknown sections and keys and wrong values are all named with their path and line (CFG-10, S-CFG-07)."""
        found = self.problems(
            """\
            server:
              prot: 3000
              tls: {enable: true}
            sever: {port: 1}
            livekit: {url: ws://x}
            security: {rate_limit_burst_size: 0}
            """
        )
        self.assertEqual(
            [one.split(":")[0] for one in found],
            [
                "server.prot",
                "server.tls.enable",
                "sever",
                "livekit",
                "security.rate_limit_burst_size",
            ],
        )
        self.assertIn("did you mean server.port?", found[0])
        self.assertIn("waav.yaml line 2]", found[0])
        self.assertIn("did you mean server.tls.enabled?", found[1])
        self.assertIn("did you mean server?", found[2])

    def test_keys_in_the_wrong_place(self) -> None:
        """A key that exists in another section is told where it belongs."""
        for yaml, hint in (
            ("port: 4000", "server.port"),
            ("security: {port: 4000}", "server.port"),
            ("server: {cors_allowed_origins: x}", "security.cors_allowed_origins"),
            ("idle_s: 3", "links.idle_s or websocket.idle_s"),
        ):
            (told,) = self.problems(yaml)
            options_named = told.partition("did you mean ")[2].partition("?")[0]
            self.assertEqual(set(options_named.split(" or ")), set(hint.split(" or ")), told)

    def test_lenient(self) -> None:
        """--lenient-config turns unknown keys into warnings, and nothing else (S-CFG-07)."""
        loaded = self.load("livekit: {url: x}\nserver: {port: 4000}", is_lenient=True)
        self.assertEqual(loaded.config.server.port, 4000)
        self.assertIn("livekit", loaded.notices[0])
        self.refused("server.port", "livekit: {}\nserver: {port: x}", is_lenient=True)

    def test_keys_that_stand_twice(self) -> None:
        """A key that stands twice in a section is refused, at any depth."""
        self.refused("server.port", "server: {port: 1, port: 2}")
        self.refused("server", "server: {port: 1}\nserver: {port: 1}")
        self.refused("providers.acme.options.a", "providers: {acme: {options: {a: 1, a: 2}}}")

    def test_broken_files(self) -> None:
        """A file that is not there, not text or not YAML is one line that names it."""
        folder = Path(self.mktemp())
        error = self.assertRaises(ConfigProblems, load, REGISTRY, folder / "none.yaml")
        self.assertIn("none.yaml: No such file", error.message)
        folder.mkdir()
        (folder / "bin.yaml").write_bytes(b"\xff\xfe\x00")
        error = self.assertRaises(ConfigProblems, load, REGISTRY, folder / "bin.yaml")
        self.assertIn("not UTF-8", error.message)
        for text in ("server: {port: [}", "a: b: c", "server:\n\tport: 1", "--- 1\n--- 2"):
            (told,) = self.problems(text)
            self.assertIn("not valid YAML", told)
            self.assertNotIn("\n", told)

    def test_empty_files(self) -> None:
        """An empty file, or a section without anything in it, sets nothing."""
        for text in ("", "# nothing\n", "server:\nsecurity: ~\n", "---\n"):
            self.assertEqual(self.load(text).origins, {})

    def test_variables_that_set_nothing(self) -> None:
        """A mistyped WAAV_ variable is a warning; other programs' variables are not our business."""
        loaded = self.load(env={"WAAV_LOG_LEVL": "debug", "WAAV_URL": "x", "PATH": "/bin"})
        (told,) = loaded.notices
        self.assertIn("WAAV_LOG_LEVL sets nothing (did you mean WAAV_LOG_LEVEL?)", told)

    def test_variables_with_a_prefix_too_many(self) -> None:
        """Variables that have their traditional names are found by whoever puts WAAV_ before them."""
        for name in ("PORT", "HOST", "ACME_API_KEY", "CORS_ALLOWED_ORIGINS"):
            (told,) = self.load(env={f"WAAV_{name}": "x"}).notices
            self.assertIn(f"WAAV_{name} sets nothing (did you mean {name}?)", told)


class ProviderTests(ConfigCase):
    def test_spellings(self) -> None:
        """A key is found nested, by alias and in its flat spelling (F-008, S-CFG-22)."""
        for yaml in (
            "providers: {acme: {api_key: k}}",
            "providers: {acme-ai: {api_key: k}}",
            "providers: {ACME: {api_key: k}}",
            "providers: {acme_api_key: k}",
        ):
            self.assertEqual(self.load(yaml).config.providers["acme"].key, Secret("k"), yaml)

    def test_two_spellings_are_one_too_many(self) -> None:
        """The same key in two spellings is refused."""
        told = self.refused(
            "providers.acme.api_key", "providers:\n  acme_api_key: a\n  acme: {api_key: b}"
        )
        self.assertIn("set twice", told)

    def test_keys_that_do_not_exist(self) -> None:
        """A mistyped provider or key of one is named with its path (CFG-10)."""
        self.refused("providers.acme.api_kee", "providers: {acme: {api_kee: k}}")
        self.refused("providers.acmee", "providers: {acmee: {api_key: k}}")
        self.refused("providers.acme_api_kee", "providers: {acme_api_kee: k}")

    def test_secret_files(self) -> None:
        """<NAME>_FILE names a file that holds the secret; both at once are refused (S-CFG-16)."""
        file = self.write("  from-file\n", "key")
        for arguments in (
            {"env": {"ACME_API_KEY_FILE": str(file)}},
            {"dotenv": f"ACME_API_KEY_FILE={file}"},
        ):
            loaded = self.load(**arguments)
            self.assertEqual(loaded.config.providers["acme"].key, Secret("from-file"))
        both = {"ACME_API_KEY_FILE": str(file), "ACME_API_KEY": "k"}
        self.assertIn("set twice", self.refused("providers.acme.api_key", env=both))

    def unreadable(self, file: Path | str) -> str:
        """What is told of a secret file, wherever it was named; what stands in it is not."""
        env = {"ACME_API_KEY_FILE": str(file)}
        told = self.refused("providers.acme.api_key", env=env)
        self.assertTrue(told.endswith(" [environment: ACME_API_KEY_FILE]"), told)
        dotenv = self.refused("providers.acme.api_key", dotenv=f"ACME_API_KEY_FILE={file}")
        self.assertEqual(dotenv, told.replace("[environment", "[.env line 1"))
        self.assertNotIn("topsecret", told)
        return told

    def test_secret_files_that_cannot_be_read(self) -> None:
        """A secret file that is not there, is a folder, is empty, or is no text stops the start; the line names the
        option, the variable and the file (S-CFG-16)."""
        self.assertIn(
            "cannot read /nowhere: No such file or directory", self.unreadable("/nowhere")
        )
        folder = self.write("", "key").parent
        self.assertIn(f"cannot read {folder}: Is a directory", self.unreadable(folder))
        empty = self.write(" \n", "key")
        self.assertIn(f"{empty} is empty", self.unreadable(empty))
        latin = self.write("", "key")
        latin.write_bytes(b"topsecret\xe9")
        self.assertIn(f"cannot read {latin}: it is not UTF-8", self.unreadable(latin))
        long = "x" * 300
        self.assertIn(f"cannot read {long}: File name too long", self.unreadable(long))

    def test_a_secret_file_of_somebody_else(self) -> None:
        """Neither does the gateway start when it may not read the file (S-CFG-16)."""
        file = self.write("topsecret", "key").absolute()
        file.chmod(0)
        self.become_nobody()
        told = self.refused("providers.acme.api_key", env={"ACME_API_KEY_FILE": str(file)})
        self.assertIn(f"cannot read {file}: Permission denied", told)

    def become_nobody(self) -> None:
        """The superuser may read everything."""
        if os.geteuid() == 0:
            self.addCleanup(os.seteuid, 0)
            os.seteuid(65534)

    def test_files_of_somebody_else(self) -> None:
        """A configuration or a .env that may not be read stops the start with a line; one that is not there does not,
        if it is .env."""
        file, dotenv = self.write("").absolute(), self.write("", ".env").absolute()
        for one in (file, dotenv):
            one.chmod(0)
        self.assertEqual(load(REGISTRY, dotenv=file / ".env").values, load(REGISTRY).values)
        self.become_nobody()
        error = self.assertRaises(ConfigProblems, load, REGISTRY, file, dotenv=dotenv)
        self.assertEqual(
            [str(problem) for problem in error.problems],
            [f"cannot read {one}: Permission denied" for one in (file, dotenv)],
        )

    def test_a_secret_file_with_an_impossible_name(self) -> None:
        """In .env a name may hold characters that no file can have: that is a line as well, not a traceback."""
        told = self.refused("providers.acme.api_key", dotenv='ACME_API_KEY_FILE="a\\u0000b"')
        self.assertIn("is no file name", told)

    def test_accounts(self) -> None:
        """Key, further credentials, endpoint and options of a provider reach its account (F-008)."""
        account = self.load(
            """\
            providers:
              acme: {api_key: k, region: eu, endpoint: 'https://acme.test/x', options: {tone: 1}}
              poly: {user: u, token: t}
            """
        ).config.providers
        acme = account["acme"]
        self.assertEqual((acme.key, acme.endpoint), (Secret("k"), "https://acme.test/x"))
        self.assertEqual(acme.credentials["region"], "eu")
        self.assertEqual(acme.options, {"tone": 1})
        self.assertEqual(account["poly"].key, Secret("t"))
        self.assertEqual(account["poly"].credentials["user"], "u")

    def test_providers_check_their_own_options(self) -> None:
        """What a provider says about its options is told with the full path and the line."""
        told = self.refused(
            "providers.acme.options.colour", "providers: {acme: {options: {colour: red}}}"
        )
        self.assertIn("there are no colours", told)
        self.assertIn("line 1]", told)

    def test_all_that_a_provider_says(self) -> None:
        """Each wrong option of a provider is told, with the line on which it stands itself."""
        found = self.problems(
            """\
            providers:
              acme:
                options:
                  tone: 1
                  taste: sweet
                  colour: red
            """
        )
        self.assertEqual(len(found), 2)
        self.assertRegex(
            found[0], r"^providers.acme.options.colour: there are no colours \[.*line 6\]$"
        )
        self.assertRegex(
            found[1], r"^providers.acme.options.taste: there are no tastes \[.*line 5\]$"
        )

    def test_from_the_environment(self) -> None:
        """Where options come from a variable, the variable is the place."""
        told = self.refused(
            "providers.acme.options.taste",
            env={"WAAV_PROVIDERS_ACME_OPTIONS": '{"taste": "sweet"}'},
        )
        self.assertIn("environment: WAAV_PROVIDERS_ACME_OPTIONS", told)

    def test_a_default_that_has_no_key(self) -> None:
        """A default provider without its credentials is a warning that names both settings, not an error."""
        loaded = self.load("audio: {stt_provider: acme, tts_provider: local}")
        self.assertEqual(
            [one for one in loaded.notices if "audio." in one],
            ["audio.stt_provider: acme lacks providers.acme.api_key"],
        )
        loaded = self.load("audio: {stt_provider: acme}", {"ACME_API_KEY": "k"})
        self.assertEqual(loaded.notices, ())

    def test_endpoints_are_addresses(self) -> None:
        """An endpoint is an http or ws address."""
        for text in ("acme.test", "ftp://acme.test", "https://"):
            self.refused("providers.acme.endpoint", f"providers: {{acme: {{endpoint: '{text}'}}}}")


class AccountTests(ConfigCase):
    def test_the_callers_key_wins(self) -> None:
        """A caller's own key is used instead of the gateway's, without the gateway's secrets (S-CFG-21)."""
        config = self.load("providers: {acme: {api_key: k, region: eu}}").config
        account = accounts(config, REGISTRY)
        mine = account(ACME, None)
        self.assertEqual((mine.key, mine.is_callers_own), (Secret("k"), False))
        callers = account(ACME, Secret("own"))
        self.assertEqual((callers.key, callers.is_callers_own), (Secret("own"), True))
        self.assertEqual(callers.credentials, {"region": "eu"})
        self.assertEqual(account(ACME, Secret("")).key, Secret("k"))

    def test_missing_credentials(self) -> None:
        """Without a key the error names what is missing, before anything is dialled (CFG-05, F-009)."""
        config = self.load("providers: {poly: {token: t}}").config
        account = accounts(config, REGISTRY)
        for alias in ("acme", "ACME", "acme-ai"):
            error = self.assertRaises(MissingCredentials, account, REGISTRY.find(alias), None)
            self.assertEqual(error.message, "Acme API key not configured in server environment")
            self.assertEqual(error.path, "providers.acme.api_key")
        error = self.assertRaises(MissingCredentials, account, POLY, None)
        self.assertEqual(error.message, "Poly user id not configured in server environment")
        self.assertEqual(missing(POLY, config), ["providers.poly.user"])
        self.assertEqual(account(LOCAL, None), config.providers["local"])

    def test_aliases_give_the_same_key(self) -> None:
        """Name, alias and any case lead to the same key (F-009)."""
        config = self.load(env={"ACME_API_KEY": "k"}).config
        account = accounts(config, REGISTRY)
        found = {account(REGISTRY.find(name), None).key for name in ("acme", "Acme-AI", " ACME ")}
        self.assertEqual(found, {Secret("k")})


class SecretTests(ConfigCase):
    MARK = "topsecretvalue"

    def everything_secret(self) -> str:
        lines = []
        for option in options(REGISTRY).values():
            if option.is_secret:
                lines.append(f"{option.env}={self.MARK}")
        self.assertEqual(len(lines), 3)
        return "\n".join(lines)

    def test_no_secret_is_printed(self) -> None:
        """Neither the configuration's repr nor its listing shows a secret (CFG-09, F-026, S-CFG-50)."""
        loaded = self.load(
            f"models: {{index_url: 'https://me:{self.MARK}@index.test/simple'}}\n"
            f"providers: {{acme: {{options: {{api_token: {self.MARK}}}}}}}",
            dotenv=self.everything_secret(),
        )
        for text in (repr(loaded.config.providers["acme"].key), "\n".join(shown(loaded))):
            self.assertNotIn(self.MARK, text)
        self.assertIn('providers.acme.api_key = "***"  [.env line 2: ACME_API_KEY]', shown(loaded))
        self.assertIn(
            'models.index_url = "https://***@index.test/simple"',
            "\n".join(shown(loaded)),
        )

    def test_no_secret_is_in_an_error(self) -> None:
        """What is wrong with a secret, or next to it, is told without its value (CFG-09, S-CFG-51)."""
        found = self.problems(
            f"providers:\n  acme: {{api_key: [{self.MARK}]}}\n  acme_api_key: {self.MARK}",
            {"PORT": "x", "ACME_API_KEY": self.MARK},
        )
        self.assertNotIn(self.MARK, "\n".join(found))

    def test_a_checked_secret_keeps_its_value(self) -> None:
        """A check that fails on a secret does not print it (CFG-09)."""
        option = Option("x", Secret, None, "", check=lambda secret: "is too short")
        error = self.assertRaises(Wrong, option.read, self.MARK)
        self.assertEqual(str(error), "is too short")


READERS: Mapping[str, tuple[str, ...]] = {
    "server": ("service",),
    "security": ("service", "gateway"),
    "websocket": ("gateway",),
    "console": ("service", "gateway"),
    "audio": ("service", "gateway"),
    "links": ("links",),
    "cache": ("service", "cache"),
    "models": ("service", "config", "cli/init.py"),
    "turn_detection": ("config", "cli/init.py", "models", "session"),
    "noise_filter": ("cli/init.py", "models", "session"),
    "speech_final": ("session", "graph", "speech"),
    "interruption": ("session", "graph"),
    "call": ("session", "graph"),
    "logging": ("ops",),
    "diagnostics": ("ops", "service/watchers.py"),
    "metrics": ("service/watchers.py",),
}
"""Who acts on each section."""

HOLDERS = re.compile(
    r"(^|[._])(settings|limits|server|tls|security|console|defaults|cache|models|turn|noise|timing|base|interruption)$"
)
"""What code calls a section's settings."""


class ConsumedTests(SynchronousTestCase):
    def reads(self, places: tuple[str, ...]) -> set[str]:
        """The names of all settings that code there reads."""
        root = Path(__file__).parents[2] / "waav"
        files = [
            file
            for place in places
            for file in ([root / place] if place.endswith(".py") else (root / place).rglob("*.py"))
        ]
        return {
            node.attr
            for file in files
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Attribute) and HOLDERS.search(ast.unparse(node.value))
        }

    def test_nothing_is_read_and_ignored(self) -> None:
        """Every option of the configuration is used by the room that it configures."""
        self.assertEqual(set(READERS), set(SECTIONS))
        for section, settings in SECTIONS.items():
            used = self.reads(READERS[section])
            for option in declared(settings, section):
                self.assertIn(option.path.rsplit(".", 1)[1], used, option.path)


class ImportTests(SynchronousTestCase):
    def test_programs_can_use_it(self) -> None:
        """Configuration, errors, registry and service tree are imported from the package root (F-041)."""
        from waav import errors, registry, tap
        from waav.config import load

        loaded = load.load(registry.Registry.discover())
        self.assertIsInstance(loaded.config, load.Config)
        self.assertTrue(issubclass(load.ConfigProblems, errors.WaavError))
        self.assertTrue(callable(tap.makeService))

    def test_reading_it_starts_nothing(self) -> None:
        """Importing and loading the configuration installs no reactor: twistd chooses it later."""
        code = (
            "import sys, waav.cli.main; from waav.config.load import load; from waav.registry import Registry;"
            "load(Registry.discover(), environ={'WAAV_LISTEN': 'tcp:1', 'PORT': '1'});"
            "sys.exit('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(subprocess.run([sys.executable, "-c", code], check=False).returncode, 0)

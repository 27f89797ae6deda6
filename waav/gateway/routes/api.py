"""The HTTP routes."""

# mypy: allow-untyped-calls
# Our requests and channels inherit from classes of twisted.web that have no annotations.

from typing import Any, Final

from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from waav import __version__
from waav.errors import BadRequest, MissingCredentials, WaavError
from waav.gateway.admission.live import LiveConnections, ShuttingDown
from waav.gateway.http.fields import parse_object
from waav.gateway.http.replies import empty_answer, error_answer, json_answer, waav_answer
from waav.gateway.http.request import GatewayRequest
from waav.gateway.routes.speak import Begin, Delivery, decode_body
from waav.gateway.routes.voices import VoiceLists, rows
from waav.gateway.settings import SpeechDefaults
from waav.secret import Secret
from waav.session.world import World
from waav.speech.provider import Provider

MOST_ASKED: Final = 64
"""Names that are looked at in one list of providers."""

HIDDEN = "sunset"
"""Capability of providers that are shutting down: listed only for those who ask for them by name."""


class UnsupportedMediaType(WaavError):
    """The body is not declared to be JSON."""

    status = 415
    code = "unsupported_media_type"


class Api:
    """The routes, as methods. Errors become answers in one place, at the end.

    Args:
        calls: everything live, for a graceful stop.
        begin: starts a synthesis.
    """

    app = Klein()
    _log = Logger()

    def __init__(
        self, world: World, defaults: SpeechDefaults, calls: LiveConnections, begin: Begin
    ) -> None:
        self._world = world
        self._defaults = defaults
        self._calls = calls
        self._begin = begin
        self._voices = VoiceLists(world)

    @app.route("/", methods=["GET"])
    def health(self, request: GatewayRequest) -> bytes:
        """The process is up."""
        return json_answer(request, 200, {"status": "OK", "version": __version__})

    @app.route("/ready", methods=["GET"])
    def ready(self, request: GatewayRequest) -> bytes:
        """Whether a call that comes now need not wait: 503 while models load, and while the gateway stops."""
        models = self._world.unready_models
        if not self._calls.is_open:
            answer: dict[str, Any] = {"status": "stopping"}
        elif models:
            answer = {"status": "loading", "models": models}
        else:
            return json_answer(request, 200, {"status": "ready"})
        return json_answer(request, 503, answer)

    @app.route("/voices", methods=["GET"])
    async def voices(self, request: GatewayRequest) -> bytes:
        """Voices by provider. A provider that has none to show, or does not exist, is left out; ``verbose=true`` says why."""
        providers, unknown = self._asked_for(_query(request, "provider"))
        voices, errors = await self._voices.of(
            providers,
            _header_key(request) if len(providers) == 1 else None,
            is_fresh=_is_true(_query(request, "refresh")),
        )
        language = _query(request, "language") or None
        answer: dict[str, Any] = {name: rows(found, language) for name, found in voices.items()}
        if _is_true(_query(request, "verbose")):
            answer["errors"] = {**errors, **unknown}
        return json_answer(request, 200, answer)

    @app.route("/providers", methods=["GET"])
    def providers(self, request: GatewayRequest) -> bytes:
        """Who can recognise and speak, who has a key here, whom this gateway prefers, which models it has."""
        registry = self._world.registry
        answer = {
            "stt": [self._about(one, "listen") for one in registry.listening()],
            "tts": [self._about(one, "speak") for one in registry.speaking()],
            "defaults": {"stt": self._defaults.stt_provider, "tts": self._defaults.tts_provider},
            "models": self._world.optional_models,
        }
        return json_answer(request, 200, answer)

    @app.route("/speak", methods=["POST"])
    async def speak(self, request: GatewayRequest) -> bytes | None:
        """A text as audio."""
        if not self._calls.is_open:
            self._calls.figures.refused["shutdown"] += 1
            raise ShuttingDown()
        text, speaking = decode_body(
            _json(request), self._world, self._defaults, _header_key(request)
        )
        delivery = Delivery(request, self._world.clock, self._defaults.speak_timeout_s, self._calls)
        return await delivery.run(self._begin, self._world, speaking, text)

    async def explain(self, request: GatewayRequest, error: Exception) -> bytes | None:
        """The answer to a request that failed. A mistake of ours ends one request, not more."""
        match error:
            case WaavError():
                return waav_answer(request, error)
            case MethodNotAllowed():
                allowed = ", ".join(sorted(error.valid_methods or ()))
                request.setHeader(b"allow", allowed.encode())
                return empty_answer(request, 405)
            case HTTPException():
                # No such path; Werkzeug's redirects to similar ones are not wanted either.
                return error_answer(request, 404, "Not found")
            case CancelledError():
                return None
        self._log.failure("a route failed", Failure(error))
        if request.startedWriting:
            await request.break_off()
            return None
        return error_answer(request, 500, "Internal server error")

    def _about(self, provider: Provider, verb: str) -> dict[str, Any]:
        try:
            self._world.account(provider, None)
        except MissingCredentials:
            is_configured = False
        else:
            is_configured = True
        return {
            "name": provider.name,
            "title": provider.title or provider.name,
            "aliases": list(provider.aliases),
            "configured": is_configured,
            "model": provider.models.get(verb, ""),
        }

    def _asked_for(self, names: str) -> tuple[tuple[Provider, ...], dict[str, str]]:
        """The providers of a comma list, and a reason for each name that is none; all that have voices for no list."""
        asked = [name.strip() for name in names.split(",") if name.strip()]
        if not asked:
            able = (
                one
                for one in self._world.registry.providers
                if one.voices is not None and HIDDEN not in one.capabilities
            )
            return tuple(able), {}
        found: dict[str, Provider] = {}
        unknown: dict[str, str] = {}
        for name in asked[:MOST_ASKED]:
            try:
                provider = self._world.registry.find(name)
            except BadRequest as error:
                unknown[name[:64]] = error.message
            else:
                found[provider.name] = provider
        return tuple(found.values()), unknown


def _json(request: GatewayRequest) -> dict[str, Any]:
    declared = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    kind, _, subtype = declared.partition("/")
    if kind != "application" or (subtype != "json" and not subtype.endswith("+json")):
        raise UnsupportedMediaType("Expected request with `Content-Type: application/json`")
    body: Any = request.content
    return parse_object(body.read())


def _header_key(request: GatewayRequest) -> Secret | None:
    key = (request.getHeader("x-provider-api-key") or "").strip()
    return Secret(key) if key else None


def _query(request: GatewayRequest, name: str) -> str:
    arguments: dict[bytes, list[bytes]] = request.args or {}
    return arguments.get(name.encode(), [b""])[-1].decode("utf-8", "replace").strip()


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes")

"""Whether a call uses the models of this process, and how the graph is to talk to them."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail

from waav.errors import ModelMissing
from waav.links.engines.engines import Conversation
from waav.links.engines.turn_queue import TurnShare
from waav.models import noise as noise_model
from waav.models import turn as turn_model
from waav.session.call_settings import CallSettings, Listening
from waav.session.timing import timing
from waav.session.world import World
from waav.speech import wire


def noise_config(world: World, settings: CallSettings) -> dict[str, Any] | None:
    """Config of the node ``noise_filter``; None where the call goes without."""
    wants = world.noise.enabled if settings.noise_filter is None else settings.noise_filter
    if not wants or settings.listening is None:
        return None
    return {
        "local": noise_model.local(world.noise, _folder(world)),
        "source": settings.listening.settings.format,
        "format": noise_model.FORMAT,
        "finish": noise_model.FINISH,
        "max_backlog_s": world.noise.max_backlog_ms / 1000,
        "is_asked": settings.noise_filter is True,
    }


def turns_config(
    world: World, listening: Listening, settings: CallSettings, noise: dict[str, Any] | None
) -> dict[str, Any]:
    """Config of the node ``turns``, which hears what comes out of the filter with config ``noise``."""
    times = timing(world.speech_final, listening.provider, settings.timing)
    wants = world.turn.enabled if settings.turn_detection is None else settings.turn_detection
    if not wants:
        return {"timing": times, "detector": None}
    threshold = settings.turn_threshold
    return {
        "timing": times,
        "detector": {
            "local": turn_model.local(world.turn, _folder(world)),
            "question": turn_model.QUESTION,
            "forget": turn_model.FORGET,
            "format": noise["format"] if noise else listening.settings.format,
            "model_format": turn_model.FORMAT,
            "threshold": world.turn.threshold if threshold is None else threshold,
            "is_asked": settings.turn_detection is True,
        },
    }


def converse(world: World, share: TurnShare, local: wire.Local) -> Deferred[Conversation]:
    """Begin a conversation with a model of the gateway's own, for ``share``."""
    engines = world.dialler.engines
    if engines is None:
        return fail(ModelMissing(f"{local.model}: this process runs no models"))
    return engines.converse(local, share)


def _folder(world: World) -> Path | None:
    return None if world.models_path is None else Path(world.models_path)

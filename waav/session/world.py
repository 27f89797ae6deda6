"""What all calls of a process share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from waav.links.dial import Dialler
from waav.models.settings import NoiseSettings, TurnSettings
from waav.registry import Registry
from waav.secret import Secret
from waav.session.ledger import Ledger
from waav.session.settings import CallLimits, InterruptionSettings, SpeechFinalSettings
from waav.speech.provider import Account, Provider


@dataclass(frozen=True, slots=True)
class World:
    """Everything a call shares with other calls. Built once, in ``service/build.py``."""

    clock: IReactorTime
    registry: Registry
    dialler: Dialler
    account: Callable[[Provider, Secret | None], Account]
    """The account to use for a provider: a caller's own key wins over the server's. Raises
    MissingCredentials with the text that clients know when there is neither and the provider needs one."""
    speech_final: SpeechFinalSettings = SpeechFinalSettings()
    interruption: InterruptionSettings = InterruptionSettings()
    limits: CallLimits = CallLimits()
    turn: TurnSettings = TurnSettings()
    noise: NoiseSettings = NoiseSettings()
    models_path: str | None = None
    ledger: Ledger = Ledger()
    unready_models: dict[str, str] = field(default_factory=dict)
    """Models that calls want and that are not there yet, by name: ``loading``, ``missing`` or ``broken``."""
    optional_models: dict[str, str] = field(default_factory=dict)
    """What became of the optional models, by their section of the configuration; no paths: anybody may read it."""

"""The voices there are."""

from waav.speech import wire
from waav.speech.provider import Account, Voice

VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx",
    "nova", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip


class Voices:
    """A fixed list: the API has none to ask for."""

    def __init__(self, account: Account) -> None:
        pass

    def first(self) -> wire.Request | None:
        return None

    def read(self, body: bytes) -> tuple[list[Voice], wire.Request | None]:
        return [Voice(name, name.capitalize(), language="Multilingual") for name in VOICES], None

"""What an outside plugin implements. Twisted finds plugins by these zope interfaces."""

from zope.interface import Attribute, Interface


class IProvider(Interface):
    """A vendor of speech. ``waav.speech.provider.Provider`` is the usual implementation.

    A module in ``waav.providers``, or in the ``twisted.plugins`` package of any installed distribution, that
    has a module-level instance is found by the registry at start.
    """

    name = Attribute("canonical name, lower case, as used in configuration and messages")
    aliases = Attribute("tuple of other names for it")
    title = Attribute("name shown to people")
    credentials = Attribute(
        "tuple of waav.speech.provider.Credential: what an operator must configure"
    )
    listen = Attribute("callable(ListenSettings, Account) -> Dialogue for recognition, or None")
    speak = Attribute("callable(SpeakSettings, Account) -> Dialogue for synthesis, or None")
    voices = Attribute("callable(Account) -> VoiceList, or None")
    capabilities = Attribute("frozenset of words for the documentation table and /voices")

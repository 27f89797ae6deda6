"""Every event in every state of a link over a WebSocket."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.links.doubles import Mute, Talk
from tests.links.websocket.test_link import LinkCase, noise
from waav.links.settings import LinkSettings
from waav.links.websocket.link import GOODBYE_S, WebSocketLink
from waav.links.websocket.states import Farewell, LinkState
from waav.speech import wire

PATHS: dict[str, tuple[str, ...]] = {
    "first DIALLING": (),
    "DIALLING": ("ready", "lost", "a redial"),
    "FREE": ("ready",),
    "FULL": ("ready", "full"),
    "LEAVING": ("ready", "hang up"),
    "OVER": ("ready", "abort"),
}
"""How to get there. ``DRAINING`` lasts no longer than it takes: it has tests of its own."""

SAID, WAITS, FORGOTTEN = "said", "waits", "forgotten"

TRANSITIONS: dict[tuple[str, str], str] = {
    ("first DIALLING", "ready"): "FREE",
    ("first DIALLING", "lost"): "OVER",
    ("first DIALLING", "an error"): "OVER",
    ("first DIALLING", "goodbye"): "OVER",
    ("first DIALLING", "hang up"): "OVER",
    ("first DIALLING", "abort"): "OVER",
    ("DIALLING", "ready"): "FREE",
    ("DIALLING", "hang up"): "OVER",
    ("DIALLING", "abort"): "OVER",
    ("FREE", "full"): "FULL",
    ("FREE", "lost"): "DIALLING",
    ("FREE", "an error"): "DIALLING",
    ("FREE", "goodbye"): "DIALLING",
    ("FREE", "hang up"): "LEAVING",
    ("FREE", "abort"): "OVER",
    ("FULL", "room"): "FREE",
    ("FULL", "lost"): "DIALLING",
    ("FULL", "an error"): "DIALLING",
    ("FULL", "goodbye"): "DIALLING",
    ("FULL", "hang up"): "LEAVING",
    ("FULL", "abort"): "OVER",
    ("LEAVING", "lost"): "OVER",
    ("LEAVING", "goodbye"): "OVER",
    ("LEAVING", "a second"): "OVER",
    ("LEAVING", "hang up"): "OVER",
    ("LEAVING", "abort"): "OVER",
}
"""All that leads anywhere; everything else changes nothing."""

EVENTS = (
    "ready",
    "full",
    "room",
    "words",
    "an error",
    "lost",
    "goodbye",
    "a second",
    "hang up",
    "abort",
    "pause and resume",
)

COMMANDS = {
    "first DIALLING": WAITS,
    "DIALLING": WAITS,
    "FREE": SAID,
    "FULL": WAITS,
    "LEAVING": FORGOTTEN,
    "OVER": FORGOTTEN,
}


class Notes(Talk):
    """Remembers what it was given to say."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.given: list[wire.Command] = []
        self.on_send: Callable[[wire.Command], None] | None = None

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        self.given.append(command)
        if self.on_send is not None:
            self.on_send(command)
        return super().send(command)


class StateCase(LinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.kind = Notes

    def begun(self, *path: str, **opening: Any) -> WebSocketLink:
        """A link whose vendor says when he is ready, and who may lose him."""
        opening = {"says_ready": True, "resumes": True, "takes_audio_as_it_is": True} | opening
        link = self.link(LinkSettings(ping_s=1000.0), **opening)
        self.failures: list[Any] = []
        Deferred.fromCoroutine(link.open()).addErrback(self.failures.append)
        self.vendor.flush()
        for event in path:
            self.do(link, event)
        return link

    def do(self, link: WebSocketLink, event: str) -> None:
        """One event, by name, as the network, the vendor or the room's user brings it about."""
        server, client = self.vendor.server, self.vendor.client
        match event:
            case "ready":
                client.onMessage(b'{"type": "ready"}', False)
            case "full":
                client.pauseProducing()
            case "room":
                client.resumeProducing()
            case "words":
                client.onMessage(b'{"type": "text", "text": "words"}', False)
            case "an error":
                body = {"type": "error", "kind": "ProviderBusy", "message": "overloaded"}
                client.onMessage(json.dumps(body).encode(), False)
            case "lost":
                self.vendor.break_off()
            case "a redial":
                self.vendor.advance(0.5)
            case "goodbye":
                server.sendClose(1000)
                self.vendor.flush()
            case "a second":
                self.clock.advance(GOODBYE_S)
            case "hang up":
                link._goodbye.limit(0.0, link._hang_up)
                self.clock.advance(0)
            case "abort":
                link.abort()
            case "pause and resume":
                link.pause()
                link.resume()
            case _:
                raise AssertionError(event)
        if link._state is not LinkState.LEAVING:
            self.vendor.flush()

    def check(self, link: WebSocketLink) -> None:
        """What is true of any link, whatever has happened to it."""
        state = link._state
        is_up = state in (LinkState.FREE, LinkState.FULL, LinkState.DRAINING)
        is_ended = state in (LinkState.LEAVING, LinkState.OVER)
        is_direct = state is LinkState.FREE and link._farewell is Farewell.UNASKED
        self.assertEqual((state.is_up, state.is_ended), (is_up, is_ended))
        self.assertIs(link._direct, link._socket if is_direct else None)
        self.assertEqual(link._parting is not None, state is LinkState.LEAVING)
        if is_ended:
            self.assertIs(link._socket, None)
        if is_up:
            self.assertIsNotNone(link._socket)
        if is_ended or state is LinkState.FREE:
            self.assertEqual(len(link._backlog), 0)
        if state is not LinkState.LEAVING:
            self.vendor.flush()
            for client, server in zip(self.vendor.clients, self.vendor.servers, strict=True):
                self.assertEqual(server.closed is None, client is link._socket)
        if state is LinkState.OVER:
            self.assertEqual(self.clock.getDelayedCalls(), [])


class LinkStateTests(StateCase):
    """The states of a link."""

    def test_all_are_here(self) -> None:
        """A new state has rows in the tables."""
        names = {path.removeprefix("first ") for path in PATHS} | {"DRAINING"}
        self.assertEqual(names, {state.name for state in LinkState})

    def test_what_becomes_of_a_command(self) -> None:
        """A command is said, waits or is forgotten; the same for audio, whichever way it comes."""
        for state, path in PATHS.items():
            for give in (
                lambda link: link.send(wire.Speak("hi")),
                lambda link: link.send(wire.Audio(b"\1\1")),
                lambda link: link.send_audio(b"\1\1"),
            ):
                link = self.begun(*path)
                heard = len(self.vendor.server.heard)
                give(link)
                waiting = len(link._backlog)
                self.vendor.flush()
                said = len(self.vendor.server.heard) - heard
                expected = {SAID: (1, 0), WAITS: (0, 1), FORGOTTEN: (0, 0)}[COMMANDS[state]]
                self.assertEqual((said, waiting), expected, state)
                self.check(link)
                self.end(link)

    def test_whose_words_are_heard(self) -> None:
        """A vendor is heard from the first moment on, until we hang up."""
        for state, path in PATHS.items():
            self.sink.events.clear()
            link = self.begun(*path)
            self.do(link, "words")
            heard = self.sink.finals
            self.assertEqual(heard, [] if state in ("LEAVING", "OVER") else ["words"], state)
            self.end(link)

    def test_closing_in_each_state(self) -> None:
        """``close`` says goodbye where there is somebody to hear it, as soon as there is; and ends in any case."""
        for state, path in PATHS.items():
            link = self.begun(*path, finish_s=2.0)
            closing = link.close()
            self.vendor.flush()
            expected = {SAID: Farewell.SAID, WAITS: Farewell.ASKED, FORGOTTEN: Farewell.UNASKED}
            self.assertIs(link._farewell, expected[COMMANDS[state]], state)
            self.check(link)
            self.vendor.advance(60)
            self.successResultOf(closing)
            self.assertIs(link._state, LinkState.OVER, state)
            self.check(link)
            self.successResultOf(link.close())

    def test_hanging_up_while_we_do_not_read(self) -> None:
        """A vendor that was not read is read again for his goodbye."""
        link = self.begun("ready")
        link.pause()
        calls: list[str] = []
        self.vendor.client.transport.resumeProducing = lambda: calls.append("resume")
        self.do(link, "hang up")
        self.assertEqual(calls, ["resume"])
        self.end(link)

    def test_what_comes_of_a_connection_that_was_dropped(self) -> None:
        """Whatever the last connection still has to tell changes nothing about the next, made or in the making."""
        body = {"type": "error", "kind": "ProviderRefused", "message": "too late"}
        for path in (("ready", "an error", "a redial"), ("ready", "an error", "a redial", "ready")):
            link = self.begun(*path)
            before = link._state, link._liveness.heard_at, len(self.sink.events)
            self.clock.advance(0.25)
            old = self.vendor.clients[-2]
            old.pauseProducing()
            old.onPong(b"")
            for words in (b'{"type": "text", "text": "late"}', b"{junk", json.dumps(body).encode()):
                old.onMessage(words, False)
            old.onClose(False, 1006, "")
            self.assertEqual(
                (link._state, link._liveness.heard_at, len(self.sink.events)), before, path
            )
            self.check(link)
            self.do(link, "ready")
            self.assertIs(link._state, LinkState.FREE)
            self.end(link)

    def test_paused_before_he_is_ready(self) -> None:
        """A vendor that is not to be read is read until he is ready, and no further."""
        for path in ((), ("ready", "lost", "a redial")):
            link = self.begun(*path)
            calls: list[str] = []
            transport = self.vendor.client.transport
            transport.pauseProducing = lambda calls=calls: calls.append("pause")
            transport.resumeProducing = lambda calls=calls: calls.append("resume")
            link.pause()
            link.resume()
            link.pause()
            self.assertEqual(calls, [])
            self.do(link, "ready")
            self.assertEqual(calls, ["pause"])
            link.resume()
            self.assertEqual(calls, ["pause", "resume"])
            self.end(link)


def _transition_test(state: str, event: str) -> None:
    """Add the test for one event in one state."""
    before = state.removeprefix("first ")
    after = TRANSITIONS.get((state, event), before)

    def test(self: LinkStateTests) -> None:
        link = self.begun(*PATHS[state])
        self.assertEqual(link._state.name, before)
        self.check(link)
        self.do(link, event)
        self.assertEqual(link._state.name, after)
        self.check(link)
        self.end(link)

    outcome = f"leads to {after}" if (state, event) in TRANSITIONS else "changes nothing"
    test.__doc__ = f"{event} while {state} {outcome}."
    test.__name__ = f"test_{event}_while_{state}".replace(" ", "_")
    setattr(LinkStateTests, test.__name__, test)


for _state in PATHS:
    for _event in EVENTS:
        _transition_test(_state, _event)


class DrainingTests(StateCase):
    """What happens while that which waited is said."""

    def drained(self, meanwhile: Callable[[WebSocketLink], None]) -> tuple[WebSocketLink, Any]:
        """A link with three texts that waited; something happens while the second is said. Also, what was said."""
        link = self.begun()
        for text in ("one", "two", "three"):
            link.send(wire.Speak(text))
        client = self.vendor.client
        say, said = client.say, []

        def on_say(outgoing: Any) -> None:
            say(outgoing)
            what = json.loads(outgoing) if isinstance(outgoing, str) else {"type": "audio"}
            said.append(what.get("text", what["type"]))
            if said[-1] == "two":
                self.assertIs(link._state, LinkState.DRAINING)
                self.check(link)
                meanwhile(link)

        client.say = on_say
        self.do(link, "ready")
        self.check(link)
        return link, said

    def test_nothing_happens(self) -> None:
        """All is said, in order, and the way is free."""
        link, said = self.drained(lambda link: None)
        self.assertEqual((said, link._state), (["one", "two", "three"], LinkState.FREE))
        self.end(link)

    def test_something_is_given(self) -> None:
        """What is given meanwhile is said last, audio included."""

        def meanwhile(link: WebSocketLink) -> None:
            link.send(wire.Speak("four"))
            link.send_audio(b"\1\1")

        link, said = self.drained(meanwhile)
        self.assertEqual(said, ["one", "two", "three", "four", "audio"])
        self.assertIs(link._state, LinkState.FREE)
        self.end(link)

    def test_the_vendor_is_full(self) -> None:
        """The rest waits for room."""
        link, said = self.drained(lambda link: self.vendor.client.pauseProducing())
        self.assertEqual((said, link._state), (["one", "two"], LinkState.FULL))
        self.do(link, "room")
        self.assertIs(link._state, LinkState.FREE)
        self.assertEqual(len(self.vendor.server.heard), 3)
        self.end(link)

    def test_full_for_a_moment(self) -> None:
        """A vendor that has room again at once is told the rest."""

        def meanwhile(link: WebSocketLink) -> None:
            self.vendor.client.pauseProducing()
            self.vendor.client.resumeProducing()

        link, said = self.drained(meanwhile)
        self.assertEqual((said, link._state), (["one", "two", "three"], LinkState.FREE))
        self.end(link)

    def test_room_that_was_always_there(self) -> None:
        """A transport that says twice that it has room does not change the order."""
        link, said = self.drained(lambda link: self.vendor.client.resumeProducing())
        self.assertEqual((said, link._state), (["one", "two", "three"], LinkState.FREE))
        self.end(link)

    def test_the_end(self) -> None:
        """The rest is forgotten."""
        link, said = self.drained(lambda link: link.abort())
        self.assertEqual((said, link._state), (["one", "two"], LinkState.OVER))

    def test_the_connection_is_lost(self) -> None:
        """The rest waits for the next connection."""
        body = {"type": "error", "kind": "ProviderBusy", "message": "overloaded"}
        link, said = self.drained(
            lambda link: self.vendor.client.onMessage(json.dumps(body).encode(), False)
        )
        self.assertEqual((said, link._state), (["one", "two"], LinkState.DIALLING))
        self.vendor.advance(0.6)
        self.do(link, "ready")
        self.assertEqual(len(self.vendor.server.heard), 1)
        self.assertIn("three", self.vendor.server.heard[0])
        self.end(link)

    def test_closing(self) -> None:
        """The goodbye comes after what waited."""
        closing: list[Deferred[None]] = []
        link, said = self.drained(lambda link: closing.append(link.close()))
        self.assertEqual(said, ["one", "two", "three", "finish"])
        self.do(link, "goodbye")
        self.successResultOf(closing[0])

    def test_a_vendor_that_knows_no_goodbye(self) -> None:
        """A goodbye that waited and says nothing hangs up when it is its turn."""
        self.kind = Mute
        link = self.begun()
        link.send(wire.Speak("one"))
        closing = link.close()
        self.do(link, "ready")
        self.vendor.flush()
        self.successResultOf(closing)
        self.assertEqual(self.vendor.server.types, ["speak"])
        self.assertEqual(self.vendor.server.closed, (True, 1000))
        self.check(link)

    def test_a_fault_in_saying_it(self) -> None:
        """A fault of ours while a vendor that had been full is told the rest leaves the others waiting, in order."""
        link = self.begun("ready", "full")
        for text in ("one", "two", "three"):
            link.send(wire.Speak(text))
        dialogue: Any = self.dialogues[-1]

        def stumble(command: wire.Command) -> None:
            raise ZeroDivisionError

        dialogue.on_send = stumble
        self.assertRaises(ZeroDivisionError, self.vendor.client.resumeProducing)
        self.assertIs(link._state, LinkState.FULL)
        self.check(link)
        dialogue.on_send = None
        link.send(wire.Speak("four"))
        self.do(link, "full")
        self.do(link, "room")
        self.assertEqual(len(self.vendor.server.heard), 3)
        self.assertIn("four", self.vendor.server.heard[-1])
        self.end(link)

    def test_a_fault_in_the_first_words(self) -> None:
        """A fault of ours in what waited for the first connection is the answer to who opened it, and hangs up."""
        link = self.begun()
        link.send(wire.Speak("one"))
        dialogue: Any = self.dialogues[-1]

        def stumble(command: wire.Command) -> None:
            raise ZeroDivisionError

        dialogue.on_send = stumble
        self.do(link, "ready")
        self.assertTrue(self.failures[0].check(ZeroDivisionError))
        self.assertIs(link._state, LinkState.OVER)
        self.check(link)

    def test_room_for_whoever_was_stopped(self) -> None:
        """A caller who goes on in the moment when the last that waited is taken out is heard after it."""
        self.sink.congested = lambda is_full: is_full or link.send_audio(b"\7\7")  # type: ignore
        link = self.link(LinkSettings(backlog_s=1.0), takes_audio_as_it_is=True)
        opening = Deferred.fromCoroutine(link.open())
        link.send(wire.Audio(noise(1.0)))
        self.vendor.flush()
        self.successResultOf(opening)
        self.vendor.flush()
        self.assertEqual(self.vendor.server.audio, noise(1.0) + b"\7\7")
        self.end(link)


class FarewellTests(StateCase):
    """What becomes of a goodbye."""

    def test_only_one(self) -> None:
        """After it nothing else is taken, not even while it waits itself."""
        for path in (("ready",), ("ready", "full"), ()):
            link = self.begun(*path)
            link.send(wire.Finish())
            waiting = len(link._backlog)
            for command in (wire.Finish(), wire.Speak("late"), wire.Audio(b"\1\1")):
                link.send(command)
            link.send_audio(b"\1\1")
            self.assertEqual(len(link._backlog), waiting)
            self.check(link)
            self.end(link)

    def test_said_again(self) -> None:
        """A vendor that was lost after it is told again, after what he is to hear again."""
        link = self.begun("ready")
        link.send_audio(noise(1.0))
        link.send(wire.Finish())
        self.assertIs(link._farewell, Farewell.SAID)
        self.do(link, "lost")
        self.assertIs(link._farewell, Farewell.SAID)
        self.do(link, "a redial")
        self.do(link, "ready")
        self.assertIs(link._farewell, Farewell.SAID)
        dialogue: Any = self.dialogues[-1]
        self.assertEqual([type(one) for one in dialogue.given], [wire.Audio, wire.Finish])
        self.end(link)

    def test_lost_before_it_is_said_again(self) -> None:
        """A vendor that is lost before he is told again is dialled once more, however he left."""
        link = self.begun("ready")
        link.send_audio(noise(1.0))
        link.send(wire.Finish())
        self.do(link, "lost")
        self.do(link, "a redial")
        client = self.vendor.client
        say = client.say
        client.say = lambda outgoing: (say(outgoing), client.pauseProducing())
        self.do(link, "ready")
        self.assertEqual((link._state, link._farewell), (LinkState.FULL, Farewell.ASKED))
        self.do(link, "goodbye")
        self.assertIs(link._state, LinkState.DIALLING)
        self.vendor.advance(1.0)
        self.do(link, "ready")
        self.vendor.flush()
        self.assertEqual(self.vendor.server.types, ["finish"])
        self.assertEqual(self.vendor.server.audio, noise(1.0))
        self.end(link)

    def test_audio_takes_the_slow_way_when_it_was_asked(self) -> None:
        """While a goodbye waits for a vendor who is full, audio does not overtake it when he has room."""
        link = self.begun("ready", "full")
        link.send(wire.Finish())
        self.do(link, "room")
        link.send_audio(b"\1\1")
        self.vendor.flush()
        self.assertEqual(self.vendor.server.audio, b"")
        self.check(link)
        self.end(link)

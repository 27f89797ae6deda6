"""Texts are spoken in the order of asking, each once, and nothing is heard of what was cleared."""

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.graph.test_definition import surroundings
from tests.session.fakes import PCM24K, FakeDialler, FakeDialogue, FakeLink, speaking_provider
from waav.errors import (
    BadRequest,
    ConfigError,
    ProviderBusy,
    ProviderError,
    ProviderLost,
    ProviderRefused,
    TooMany,
    WireError,
)
from waav.graph.nodes.speak import Speak, speak
from waav.graph.values import Broken, Complete, Frames, Say
from waav.secret import Secret
from waav.session.call_settings import Speaking
from waav.speech import wav, wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, Provider, SpeakSettings
from waav.speech.sentences import Pronunciation

FRAME = bytes(480)  # 10 ms of PCM24K


class SpeakCase(SynchronousTestCase):
    """A started node with a fake link."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = FakeDialler()
        self.out: list[Any] = []
        self.counts: dict[str, int] = {}

    def node(
        self,
        *,
        wanted: AudioFormat = PCM24K,
        delivered: AudioFormat | None = None,
        wants_format: bool = False,
        pronunciations: tuple[Pronunciation, ...] = (),
        is_cut: bool = True,
        is_labelled: bool = False,
        flush_delay_s: float = 0.5,
        speaking: dict[str, Any] | None = None,
        **provider: Any,
    ) -> Speak:
        """A node whose caller wants ``wanted``; its vendor was asked for ``delivered``."""
        made = Speaking(
            speaking_provider(format=delivered, **provider),
            SpeakSettings("mouth", wanted, wants_format=wants_format),
            Account(),
            pronunciations,
            **(speaking or {}),
        )
        around = surroundings(clock=self.clock, dialler=self.dialler, count=self.count)
        node = Speak(
            made,
            around,
            self.emit,
            flush_delay_s=flush_delay_s,
            is_cut=is_cut,
            is_labelled=is_labelled,
        )
        self.starting = node.start()
        return node

    def emit(self, value: Any) -> None:
        """Keep what comes out."""
        self.out.append(value)

    def count(self, name: str, number: int) -> None:
        """Keep a figure."""
        self.counts[name] = self.counts.get(name, 0) + number

    def warnings(self) -> list[str]:
        """What is logged as a warning from now on."""
        lines: list[str] = []

        def watch(event: Any) -> None:
            if event["log_level"] is LogLevel.warn:
                lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)
        return lines

    @property
    def link(self) -> FakeLink:
        """The node's latest link."""
        return self.dialler.link("mouth")

    @property
    def frames(self) -> list[bytes]:
        """The frames that came out, whatever they travelled with."""
        return [one for each in self.out if isinstance(each, Frames) for one in each.frames]

    @property
    def story(self) -> list[Any]:
        """What came out, in short: utterance numbers of pieces, completions and errors."""
        names = {Frames: "audio", Complete: "complete", Broken: "broken"}
        return [(names[type(one)], one.utterance) for one in self.out]


class QueueTests(SpeakCase):
    """One synthesis at a time."""

    def test_one(self) -> None:
        """A text is asked for at once, and is complete once, after its audio (F-069)."""
        node = self.node()
        node.receive(Say(1, "  Hello.  "))
        self.assertEqual(self.link.sent, [wire.Speak("Hello."), wire.Flush()])
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.story, [("audio", 1), ("complete", 1)])

    def test_order(self) -> None:
        """Texts asked for quickly are spoken one after the other, each with its own completion (F-175, S-TTS-10)."""
        node = self.node()
        for utterance in (1, 2, 3):
            node.receive(Say(utterance, f"Text {utterance}."))
        self.assertEqual(self.link.texts, ["Text 1."])
        for _ in range(3):
            self.link.speak(PCM24K, FRAME)
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.link.texts, ["Text 1.", "Text 2.", "Text 3."])
        self.assertEqual(
            self.story,
            [(what, one) for one in (1, 2, 3) for what in ("audio", "complete")],
        )

    def test_vendor_that_answers_at_once(self) -> None:
        """A long queue answered from memory does not run out of stack, and keeps its order."""
        node = self.node()
        self.dialler.is_slow = False

        def answer(command: wire.Command) -> None:
            if isinstance(command, wire.Speak):
                self.link.tell(wire.SpokenAll(True))

        node.receive(Say(0, "First."))
        for utterance in range(1, 2000):
            node.receive(Say(utterance, "x."))
        self.link.answer = answer
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.story, [("complete", one) for one in range(2000)])

    def test_too_much(self) -> None:
        """A caller that asks for more than anybody can speak is told so; what fits is spoken, and room comes back."""
        node = self.node()
        long = "x" * 100_000
        for utterance in range(25):
            node.receive(Say(utterance, long))
        refused = [one for one in self.out if isinstance(one, Broken)]
        self.assertTrue(refused)
        self.assertIsInstance(refused[0].error, TooMany)
        self.assertEqual(refused[-1].utterance, 24)
        self.assertEqual(
            self.story,
            [(what, one.utterance) for one in refused for what in ("broken", "complete")],
        )
        self.out.clear()
        node.receive(wire.Clear())
        for utterance in range(25, 30):
            node.receive(Say(utterance, long))
        self.assertEqual(self.out, [])

    def test_room_comes_back(self) -> None:
        """Texts that have been spoken make room for others, however many there are."""
        node = self.node(text_limit=200_000)
        long = "x" * 100_000
        for utterance in range(100):
            node.receive(Say(utterance, long, flush=utterance % 2 == 0))
            self.clock.advance(1)
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual([one for one in self.out if isinstance(one, Broken)], [])

    def test_asked_while_connecting(self) -> None:
        """Text asked for before the connection stands waits for it."""
        self.dialler.is_slow = True
        node = self.node()
        node.receive(Say(1, "Early."))
        self.assertNoResult(self.starting)
        link = self.dialler.accept("mouth")
        self.assertEqual(link.texts, ["Early."])

    def test_blank(self) -> None:
        """Text of which nothing can be said is complete without a request, in its turn: after the audio of those before
        it (D-42, S-VM-31)."""
        node = self.node()
        node.receive(Say(1, "Hello."))
        nothing = (" \n ", "", "😀👍", "***", "# --- #", "…", "🇩🇪 ❤️")
        for number, text in enumerate(nothing, 2):
            node.receive(Say(number, text))
        self.assertEqual((self.story, self.link.texts), ([], ["Hello."]))
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        completed = [("complete", number) for number in range(1, len(nothing) + 2)]
        self.assertEqual(self.story, [("audio", 1), *completed])
        self.assertEqual(self.link.texts, ["Hello."])
        node.receive(Say(20, "👍"))
        self.assertEqual(self.story[-1], ("complete", 20))
        for number, text in enumerate(("5", "$", "é", "中", "50 %"), 30):
            node.receive(Say(number, text))
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.link.texts[1:], ["5", "$", "é", "中", "50 %"])

    def test_split(self) -> None:
        """Text over the vendor's limit is spoken in full, cut at sentence ends, with one completion (WS-14)."""
        node = self.node(text_limit=20)
        node.receive(Say(1, "One sentence here. Another one there. And a third."))
        while not any(isinstance(one, Complete) for one in self.out):
            self.link.speak(PCM24K, FRAME)
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual(
            self.link.texts, ["One sentence here.", "Another one there.", "And a third."]
        )
        self.assertEqual(self.story, [("audio", 1)] * 3 + [("complete", 1)])

    def test_pronunciations(self) -> None:
        """Replacements are applied once, before the vendor: none is replaced again (SPK-01, F-178)."""
        node = self.node(
            pronunciations=(Pronunciation("cat", "cat food"), Pronunciation("food", "rice"))
        )
        node.receive(Say(1, "The cat eats food, not catfood."))
        self.assertEqual(self.link.texts, ["The cat food eats rice, not catfood."])

    def test_pronounced_away(self) -> None:
        """Text that pronunciations leave nothing of is complete without asking the vendor."""
        node = self.node(pronunciations=(Pronunciation("hm", ""),))
        node.receive(Say(1, "hm"))
        self.assertEqual((self.link.texts, self.story), ([], [("complete", 1)]))

    def test_options(self) -> None:
        """Time limits and the choice not to use the cache reach the link (F-181)."""
        self.node(speaking={"dial_s": 3.0, "request_s": 4.0, "use_cache": False})
        self.assertEqual(
            {key: self.link.options[key] for key in ("dial_s", "request_s", "use_cache")},
            {"dial_s": 3.0, "request_s": 4.0, "use_cache": False},
        )

    def test_settings(self) -> None:
        """Voice, model, rate and format reach the provider as the caller chose them (F-181)."""
        settings = SpeakSettings("mouth", PCM24K, "model-x", "voice-y", "en", 1.5)
        given_settings: list[SpeakSettings] = []

        def make(chosen: SpeakSettings, account: Account) -> FakeDialogue:
            given_settings.append(chosen)
            return FakeDialogue(PCM24K)

        speaker = Speaking(Provider("mouth", speak=make), settings, Account())
        speak({"speaker": speaker}, surroundings(dialler=self.dialler), self.emit).start()
        self.assertTrue(all(one is settings for one in given_settings))
        self.assertEqual(len(given_settings), 2)

    def test_account(self) -> None:
        """Answers belong to the account they were made for; its key is not shown (TTS-01)."""
        prints = []
        for account in (
            Account(),
            Account(key=Secret("secret-one")),
            Account(key=Secret("secret-two")),
            Account(credentials={"user_id": Secret("secret-two")}),
        ):
            speaker = Speaking(speaking_provider(), SpeakSettings("mouth", PCM24K), account)
            speak({"speaker": speaker}, surroundings(dialler=self.dialler), self.emit).start()
            prints.append(self.link.options["fingerprint"])
        self.assertEqual(prints[0], "")
        self.assertEqual(len(set(prints)), 4)
        self.assertNotIn("secret", "".join(prints))

    @given(st.lists(st.booleans(), min_size=1, max_size=12))
    def test_one_completion_each(self, flushes: list[bool]) -> None:
        """Whatever the flush arguments, every text ends with one completion, in order (D-10)."""
        self.setUp()
        node = self.node()
        self.link.answer = lambda command: (
            self.link.tell(wire.SpokenAll(True)) if isinstance(command, wire.Speak) else None
        )
        for utterance, flush in enumerate(flushes):
            node.receive(Say(utterance, "word ", flush))
        self.clock.advance(0.5)
        self.assertEqual(self.story, [("complete", one) for one in range(len(flushes))])
        self.assertEqual(" ".join(self.link.texts), " ".join(["word"] * len(flushes)))


class FlushTests(SpeakCase):
    """``flush: false`` may wait for more, but never for ever."""

    def test_joined(self) -> None:
        """Pieces are spoken together, just as they were sent; each gets its completion (S-VM-32)."""
        node = self.node()
        node.receive(Say(1, "Hello", flush=False))
        node.receive(Say(2, " dear", flush=False))
        node.receive(Say(3, " caller.", flush=False))
        self.assertEqual(self.link.texts, [])
        self.clock.advance(0.1)
        self.assertEqual(self.link.texts, ["Hello dear caller."])
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(
            self.story, [("audio", 1), ("complete", 1), ("complete", 2), ("complete", 3)]
        )

    def test_delay(self) -> None:
        """The wait for more begins anew with each piece, is as long as the rhythm of this text needs, and has an end
        (S-VM-32)."""
        node = self.node(flush_delay_s=0.5)
        node.receive(Say(1, "Hello", flush=False))
        self.clock.advance(0.25)
        node.receive(Say(2, " dear", flush=False))
        self.clock.advance(0.49)
        self.assertEqual(self.link.texts, [])
        self.clock.advance(0.01)
        self.assertEqual(self.link.texts, ["Hello dear"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_whole_text(self) -> None:
        """A text that is sent whole, without a flush, is spoken a tenth of a second later; a single word, behind which
        others may come, a little later."""
        for text, wait_s in (
            ("How can I help you?", 0.1),
            ("Two words", 0.1),
            ("Yes.", 0.1),
            ("Yes", 0.3),
        ):
            node = self.node()
            node.receive(Say(1, text, flush=False))
            self.clock.advance(wait_s - 0.01)
            self.assertEqual(self.link.texts, [], text)
            self.clock.advance(0.02)
            self.assertEqual(self.link.texts, [text])

    def test_words_of_a_language_model(self) -> None:
        """36 words at 60 ms each stay one utterance; what is asked for are its sentences, with their own ends."""
        node = self.node()
        text = " ".join(["One two three four five six. Seven eight nine ten eleven twelve!"] * 3)
        words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split())]
        self.assertEqual(len(words), 36)
        self.link.answer = lambda command: (
            self.link.tell(wire.SpokenAll(True)) if isinstance(command, wire.Speak) else None
        )
        for number, word in enumerate(words):
            node.receive(Say(number, word, flush=False))
            self.clock.advance(0.06)
            self.assertEqual(self.story, [])
        self.clock.advance(0.5)
        self.assertEqual(" ".join(self.link.texts), text)
        self.assertTrue(all(one.endswith((".", "!")) for one in self.link.texts), self.link.texts)
        self.assertGreater(len(self.link.texts), 1)
        self.assertEqual(self.story, [("complete", number) for number in range(36)])

    def test_the_first_sentence_does_not_wait(self) -> None:
        """A sentence is asked for as soon as what follows shows that it has ended; the rest comes without a seam."""
        node = self.node()
        for number, piece in enumerate(("One", " moment", ".", " I", " look")):
            node.receive(Say(number, piece, flush=False))
            self.clock.advance(0.05)
        self.assertEqual(self.link.texts, ["One moment."])
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        node.receive(Say(5, " it up.", flush=True))
        self.assertEqual(self.link.texts, ["One moment.", "I look it up."])
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(
            self.story, [("audio", 0), ("audio", 0), *(("complete", one) for one in range(6))]
        )

    def test_pieces(self) -> None:
        """However a text is cut into pieces, it is said as it was written; full stops inside words end nothing."""
        for pieces in (
            ["I", " can", "'t", " do", " that", "."],
            [" $", "3", ".", "50"],
            ["Dr.", " Smith"],
            ["3", ".", "14"],
            ["e", ".g", ". so"],
            ["U.S", ".", " Army"],
            ["No", ".", " 5", " is", " open"],
            ["www", ".", "example", ".", "com"],
            ["It", "'", "s", " 7", ".", "30", " p", ".m", "."],
            ["Mr", ".", " and", " Mrs", ".", " Jones"],
            ["Ver", "sion 2", ".", "0", ".1"],
        ):
            node = self.node()
            for number, piece in enumerate(pieces):
                node.receive(Say(number, piece, flush=False))
                self.clock.advance(0.05)
                self.assertEqual(self.link.texts, [], pieces)
            self.clock.advance(0.5)
            self.assertEqual(self.link.texts, ["".join(pieces).strip()])
            node.stop(at_once=True)

    @given(
        st.text("aB. !?\n3", max_size=60), st.lists(st.integers(0, 60), max_size=8), st.booleans()
    )
    def test_nothing_is_lost(self, text: str, cuts: list[int], flush: bool) -> None:
        """However a text is cut, all that can be said of it is asked for, once, in order, and as it was written."""
        self.setUp()
        node = self.node()
        asked: list[str] = []

        def answer(command: wire.Command) -> None:
            if isinstance(command, wire.Speak):
                asked.append(command.text)
                self.link.tell(wire.SpokenAll(True))

        self.link.answer = answer
        places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
        pieces = [text[a:b] for a, b in pairwise(places)]
        for number, piece in enumerate(pieces):
            node.receive(Say(number, piece, flush and number == len(pieces) - 1))
        self.clock.advance(1.0)
        self.assertEqual(re.sub("[^aB3]", "", "".join(asked)), re.sub("[^aB3]", "", text))
        for said in asked:
            self.assertIn(said, text)
        self.assertEqual(self.story, [("complete", number) for number in range(len(pieces))])

    def test_flush_alone(self) -> None:
        """A flush without a text takes along what waits."""
        node = self.node()
        node.receive(Say(1, "Hello", flush=False))
        node.receive(wire.Flush())
        self.assertEqual(self.link.texts, ["Hello"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        node.receive(wire.Flush())
        self.assertEqual(self.link.texts, ["Hello"])

    def test_an_answer_without_audio(self) -> None:
        """A vendor who answers a text with nothing at all has failed; one who says that there was nothing to say has
        not. The next text is another matter."""
        node = self.node()
        node.receive(Say(1, "Hello."))
        self.link.tell(wire.SpokenAll())
        (broken,) = [one for one in self.out if isinstance(one, Broken)]
        self.assertEqual(broken.error.message, "mouth answered without any audio")
        self.assertIsInstance(broken.error, WireError)
        node.receive(Say(2, "Hello."))
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll())
        node.receive(Say(3, "°"))
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(
            self.story[1:], [("complete", 1), ("audio", 2), ("complete", 2), ("complete", 3)]
        )

    def test_a_failure_in_between(self) -> None:
        """When the vendor fails in the middle of a text that is still coming, what came is broken and the rest begins
        anew."""
        node = self.node()
        for number, piece in enumerate(("One moment.", " I", " look")):
            node.receive(Say(number, piece, flush=False))
        self.link.tell(wire.Failed(ProviderBusy("mouth", "no")))
        self.assertEqual(self.story[0][0], "broken")
        node.receive(Say(3, "Again.", flush=True))
        self.assertEqual(self.link.texts[-1], "Again.")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flushed(self) -> None:
        """A text with flush takes along what waits."""
        node = self.node()
        node.receive(Say(1, "Hello", flush=False))
        node.receive(Say(2, " there", flush=True))
        self.assertEqual(self.link.texts, ["Hello there"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_blank_flushes(self) -> None:
        """A blank text with flush releases what waits."""
        node = self.node()
        node.receive(Say(1, "Hello", flush=False))
        node.receive(Say(2, "", flush=True))
        self.assertEqual(self.link.texts, ["Hello"])

    def test_no_delay(self) -> None:
        """With a delay of 0 nothing waits."""
        node = self.node(flush_delay_s=0.0)
        node.receive(Say(1, "Hello", flush=False))
        self.assertEqual(self.link.texts, ["Hello"])

    def test_protected_apart(self) -> None:
        """Protected text is never joined with text that may be interrupted (S-VM-43)."""
        node = self.node()
        node.receive(Say(1, "Hello", flush=False))
        node.receive(Say(2, "listen", flush=False, is_protected=True))
        self.assertEqual(self.link.texts, ["Hello"])
        self.link.tell(wire.SpokenAll(True))
        self.clock.advance(0.5)
        self.assertEqual(self.link.texts, ["Hello", "listen"])


class AudioTests(SpeakCase):
    """What leaves is what the caller wants, labelled with what it is."""

    def spoken(self, node: Speak, format: AudioFormat, *pieces: bytes) -> list[Frames]:
        """What comes out for one utterance."""
        node.receive(Say(1, "Hello."))
        self.link.speak(format, *pieces)
        self.link.tell(wire.SpokenAll(True))
        return [one for one in self.out if isinstance(one, Frames)]

    def test_ten_milliseconds(self) -> None:
        """Raw audio leaves in pieces of 10 ms, the rest at the end, also when it came at once (D-44)."""
        pieces = self.spoken(self.node(), PCM24K, bytes(480 * 3 + 100))
        self.assertEqual([len(one) for one in self.frames], [480, 480, 480, 100])
        self.assertEqual([one.duration_s for one in pieces], [0.03, 100 / 48000])
        self.assertEqual([len(one.frames) for one in pieces], [3, 1])

    def test_uncut(self) -> None:
        """A reader who wants no pieces gets audio as it comes."""
        pieces = self.spoken(self.node(is_cut=False), PCM24K, bytes(1000))
        self.assertEqual([len(frame) for one in pieces for frame in one.frames], [1000])

    def test_converted(self) -> None:
        """A caller on the telephone hears mu-law at 8 kHz whatever the vendor delivers."""
        mulaw = AudioFormat("mulaw", 8000)
        pieces = self.spoken(self.node(wanted=mulaw, delivered=PCM24K), PCM24K, bytes(48000))
        self.assertEqual({one.format for one in pieces}, {mulaw})
        self.assertEqual(sum(len(one) for one in self.frames), 8000)
        self.assertEqual({len(one) for one in self.frames}, {80})

    def test_real_format_is_believed(self) -> None:
        """When the vendor delivers another rate than it was asked for, its label decides (TTS-05)."""
        pcm48k = AudioFormat("linear16", 48000)
        pieces = self.spoken(self.node(), pcm48k, bytes(9600))
        self.assertEqual({one.format for one in pieces}, {PCM24K})
        self.assertEqual(sum(len(one) for one in self.frames), 4800)

    def in_parts(self, node: Speak, format: AudioFormat, *parts: bytes) -> bytes:
        """What comes out for one text that takes as many requests as there are parts."""
        node.receive(Say(1, " ".join(["Twelve chars."] * len(parts))))
        for part in parts:
            # Cut where it hurts: in the middle of a header, and of a sample.
            self.link.speak(format, part[:7], part[7:47], part[47:])
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual((self.story[-1], len(self.link.texts)), (("complete", 1), len(parts)))
        return b"".join(self.frames)

    def test_one_header(self) -> None:
        """A long text asked for as WAV is one WAV, however many the vendor sent for it."""
        form = AudioFormat("linear16", 24000, 1, "wav")
        first, second, third = (bytes([number, 0]) * 481 for number in (1, 2, 3))
        node = self.node(wanted=form, wants_format=True, text_limit=15)
        audio = self.in_parts(
            node,
            form,
            wav.header(PCM24K, None) + first,
            wav.pack(PCM24K, second),
            wav.header(PCM24K, None) + third,
        )
        self.assertEqual(audio, wav.header(PCM24K, None) + first + second + third)

    def test_header_for_each_text(self) -> None:
        """Each text asked for as WAV is a WAV of its own."""
        form = AudioFormat("linear16", 24000, 1, "wav")
        node = self.node(wanted=form, wants_format=True)
        for number in (1, 2):
            node.receive(Say(number, "Hello."))
            self.link.speak(form, wav.pack(PCM24K, FRAME))
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.frames, [wav.header(PCM24K, None) + FRAME] * 2)

    def test_no_header(self) -> None:
        """Who asks for raw audio never hears the click of a header, however many the vendor sent."""
        form = AudioFormat("linear16", 8000, 1, "wav")
        loud = b"\x00\x40" * 80
        for wanted, heard in (
            (AudioFormat("mulaw", 8000), b"\x8f" * 80),
            (AudioFormat("linear16", 8000), loud),
        ):
            self.setUp()
            node = self.node(wanted=wanted, delivered=form, wants_format=True, text_limit=15)
            one = wav.header(replace(form, container="raw"), None) + loud
            self.assertEqual(self.in_parts(node, form, one, one), heard * 2)

    def test_compressed_parts(self) -> None:
        """Parts of compressed audio follow one another as they came: players take them so."""
        form = AudioFormat("mp3", 24000)
        node = self.node(wanted=form, wants_format=True, text_limit=15)
        self.assertEqual(
            self.in_parts(node, form, b"\xff\xf3one", b"\xff\xf3two"), b"\xff\xf3one\xff\xf3two"
        )

    def test_compressed_passes(self) -> None:
        """Compressed audio leaves as it came, labelled with its real rate (TTS-05)."""
        wanted, real = AudioFormat("mp3", 24000), AudioFormat("mp3", 22050)
        pieces = self.spoken(self.node(wanted=wanted, wants_format=True), real, b"\xff\xf3junk")
        self.assertEqual([(one.format, one.frames) for one in pieces], [(real, [b"\xff\xf3junk"])])

    def test_unasked_format(self) -> None:
        """A caller who named no format hears a vendor that only has MP3 all the same."""
        mp3 = AudioFormat("mp3", 24000)
        pieces = self.spoken(self.node(delivered=mp3), mp3, b"\xff\xf3junk")
        self.assertEqual({one.format for one in pieces}, {mp3})

    def test_impossible_format(self) -> None:
        """A format that the vendor's audio cannot be turned into is refused before anything is dialled."""
        error = self.assertRaises(
            BadRequest, self.node, wanted=AudioFormat("mp3"), delivered=PCM24K, wants_format=True
        )
        self.assertIn("mouth delivers linear16 here", error.message)
        self.assertEqual(self.dialler.links, [])

    def test_surprising_format(self) -> None:
        """A vendor that breaks its word fails that text, and is told to stop; the next one is tried."""
        node = self.node(wants_format=True)
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        self.link.speak(AudioFormat("mp3"), b"junk")
        self.assertEqual(self.story, [("broken", 1), ("complete", 1)])
        error = self.out[0].error
        self.assertIsInstance(error, WireError)  # it is not the caller's fault
        self.assertEqual(
            error.message, "mouth delivers mp3 here, which cannot be turned into linear16"
        )
        self.assertEqual(self.link.sent[2], wire.Clear())
        self.assertEqual(self.link.texts, ["One.", "Two."])

    def test_surprise_for_those_who_named_no_format(self) -> None:
        """A call was told that it gets raw audio: it never hears MP3 as noise; who reads labels gets it (S-TTS-31)."""
        mp3 = AudioFormat("mp3", 24000)
        self.assertEqual(self.spoken(self.node(), mp3, b"\xff\xf3junk"), [])
        self.assertEqual(
            self.out[0].error.message, "mouth delivers mp3 where linear16 was promised"
        )
        self.setUp()
        pieces = self.spoken(self.node(is_labelled=True), mp3, b"\xff\xf3junk")
        self.assertEqual([(one.format, one.frames) for one in pieces], [(mp3, [b"\xff\xf3junk"])])

    def test_mute_provider(self) -> None:
        """A provider that only listens is refused by name."""
        speaking = Speaking(Provider("deaf"), SpeakSettings("deaf"), Account())
        error = self.assertRaises(
            BadRequest, speak, {"speaker": speaking}, surroundings(), self.out.append
        )
        self.assertIn("deaf does not speak", error.message)

    def test_warning(self) -> None:
        """What the vendor cannot do is logged once, by its name, and nothing else comes of it."""
        lines = self.warnings()
        self.node()
        self.link.tell(wire.Warned("no speaking rate"), wire.Warned("no speaking rate"))
        self.assertEqual(lines, [": mouth warns: no speaking rate"])
        self.assertEqual(self.out, [])

    def test_unheeded(self) -> None:
        """What the caller asked for and does not get is logged once per connection, by name (TTS-06)."""
        lines = self.warnings()
        node = self.node(speaking={"warnings": ("no such format",)})
        for number in (1, 2):
            node.receive(Say(number, "Hello."))
            self.link.tell(wire.SpokenAll(True))
        self.assertEqual(lines, [": mouth warns: no such format"])

    def test_back_pressure(self) -> None:
        """A caller who takes no more stops the vendor, also one that is connected later (S-TTS-12)."""
        self.dialler.is_slow = True
        node = self.node()
        node.pause()
        link = self.dialler.accept("mouth")
        self.assertTrue(link.is_paused)
        node.resume()
        self.assertFalse(link.is_paused)
        node.pause()
        self.assertTrue(link.is_paused)


class ClearTests(SpeakCase):
    """Nothing older than a ``clear`` comes out."""

    def test_clear(self) -> None:
        """Clear drops the queue, stops the vendor and gives no completion (F-070, S-VM-35)."""
        node = self.node()
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        self.link.speak(PCM24K, FRAME)
        node.receive(wire.Clear())
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.story, [("audio", 1)])
        self.assertEqual(self.link.sent[-1], wire.Clear())
        self.assertEqual(self.link.texts, ["One."])

    def test_clear_in_answer_to_audio(self) -> None:
        """Whoever clears when audio comes gets none of what follows it, nor a completion (S-VM-36)."""
        node = self.node()

        def clear_at_second(value: Any) -> None:
            self.out.append(value)
            if len(self.out) == 2:
                node.receive(wire.Clear())

        node._emit = clear_at_second
        node.receive(Say(1, "One."))
        self.link.speak(PCM24K, FRAME * 10, FRAME * 20, FRAME * 30)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual([len(one.frames) for one in self.out], [10, 20])

    def test_after_clear(self) -> None:
        """What is asked for after a clear is spoken."""
        node = self.node()
        node.receive(Say(1, "One."))
        node.receive(wire.Clear())
        node.receive(Say(2, "Two."))
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.story, [("audio", 2), ("complete", 2)])

    def test_half_a_piece(self) -> None:
        """The unsent rest of a cleared text is not heard in front of the next one."""
        node = self.node()
        node.receive(Say(1, "One."))
        self.link.speak(PCM24K, b"\x01" * 400)
        node.receive(wire.Clear())
        node.receive(Say(2, "Two."))
        self.link.speak(PCM24K, b"\x02" * 480)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.frames, [b"\x02" * 480])

    def test_clear_held(self) -> None:
        """Text that waits for more is cleared as well, with its timer."""
        node = self.node()
        node.receive(Say(1, "Hello", flush=False))
        node.receive(wire.Clear())
        self.clock.advance(1)
        self.assertEqual((self.link.sent, self.out), ([], []))

    def test_idle(self) -> None:
        """Clearing silence says nothing to the vendor."""
        self.node().receive(wire.Clear())
        self.assertEqual(self.link.sent, [])

    def test_late_audio(self) -> None:
        """Audio that a vendor sends with nothing asked for is counted and dropped."""
        self.node()
        self.link.speak(PCM24K, FRAME)
        self.assertEqual((self.out, self.counts), ([], {"late": 1}))

    def test_clear_on_completion(self) -> None:
        """A caller that clears on the first completion of several hears of no other."""
        node = self.node()

        def clear(value: Any) -> None:
            self.out.append(value)
            node.receive(wire.Clear())

        node._emit = clear
        node.receive(Say(1, "One", flush=False))
        node.receive(Say(2, "two."))
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual(self.story, [("complete", 1)])


class FailureTests(SpeakCase):
    """A failure ends what it concerns, and nothing else."""

    def test_failed(self) -> None:
        """A failed text gives an error, then its completion; the next one is spoken (D-42, S-VM-38, S-TTS-17)."""
        node = self.node()
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        error = ProviderBusy("mouth", "busy", upstream_status=503)
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.Failed(error))
        self.assertEqual(self.story, [("audio", 1), ("broken", 1), ("complete", 1)])
        self.assertIs(self.out[1].error, error)
        self.assertEqual(self.link.texts, ["One.", "Two."])

    def test_rest_of_a_split_text(self) -> None:
        """When one part of a long text fails, its other parts are not spoken."""
        node = self.node(text_limit=6)
        node.receive(Say(1, "One a. Two b."))
        self.link.tell(wire.Failed(WireError("mouth", "junk")))
        self.assertEqual(self.story, [("broken", 1), ("complete", 1)])
        self.assertEqual(self.link.texts, ["One a."])

    def test_hopeless(self) -> None:
        """A refused key fails everything that waits at once, each text with error and completion."""
        node = self.node()
        for utterance in (1, 2):
            node.receive(Say(utterance, "Text."))
        node.receive(Say(3, "held", flush=False))
        self.link.tell(wire.Failed(ProviderRefused("mouth", "bad key", upstream_status=401)))
        self.assertEqual(
            self.story, [(what, one) for one in (1, 2, 3) for what in ("broken", "complete")]
        )
        self.assertEqual(self.link.texts, ["Text."])

    def test_refused_text(self) -> None:
        """A refusal of one text is not a refusal of the next."""
        node = self.node()
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        self.link.tell(wire.Failed(ProviderRefused("mouth", "bad words", upstream_status=400)))
        self.assertEqual(self.link.texts, ["One.", "Two."])

    def test_refused_by_the_dialogue(self) -> None:
        """A dialogue that cannot ask for a text fails that text."""
        node = self.node()

        def refuse(command: wire.Command) -> None:
            raise ConfigError("no voice")

        self.link.answer = refuse
        node.receive(Say(1, "One."))
        self.assertEqual(self.story, [("broken", 1), ("complete", 1)])

    def test_lost(self) -> None:
        """A lost connection fails the text being spoken; the next one gets a new connection."""
        node = self.node()
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        self.link.tell(wire.Lost(ProviderLost("mouth", "gone")))
        self.assertEqual(self.story, [("broken", 1), ("complete", 1)])
        self.assertEqual(len(self.dialler.links), 2)
        self.assertEqual(self.link.texts, ["Two."])

    def test_lost_in_silence(self) -> None:
        """A vendor that hangs up on an idle call is dialled again when there is something to say."""
        node = self.node()
        self.link.tell(wire.Lost(ProviderLost("mouth", "idle")))
        self.assertEqual((self.out, len(self.dialler.links)), ([], 1))
        self.dialler.is_slow = True
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        self.assertEqual(self.dialler.accept("mouth").texts, ["One."])

    def test_cannot_be_dialled_again(self) -> None:
        """When that fails the text fails, and the one behind it is tried as well."""
        node = self.node()
        self.link.tell(wire.Lost(ProviderLost("mouth", "gone")))
        self.dialler.errors["mouth"] = ProviderLost("mouth", "nobody home")
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two."))
        self.assertEqual(
            self.story, [(what, one) for one in (1, 2) for what in ("broken", "complete")]
        )

    def test_unforeseen(self) -> None:
        """An error nobody foresaw in dialling is logged and told in words."""
        node = self.node()
        self.link.tell(wire.Lost(ProviderLost("mouth", "gone")))
        self.dialler.errors["mouth"] = ZeroDivisionError()
        node.receive(Say(1, "One."))
        self.assertIsInstance(self.out[0].error, ProviderError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_hang_up_on_error(self) -> None:
        """A caller who hangs up on an error hears no completion after it."""
        node = self.node()

        def hang_up(value: Any) -> None:
            self.out.append(value)
            node.stop(at_once=True)

        node._emit = hang_up
        node.receive(Say(1, "One."))
        self.link.tell(wire.Failed(ProviderBusy("mouth", "busy")))
        self.assertEqual(self.story, [("broken", 1)])


class StopTests(SpeakCase):
    """A stopped node is silent."""

    def test_at_once(self) -> None:
        """A hang-up aborts the vendor's request; nothing follows, no timer is left (S-TTS-14)."""
        node = self.node()
        node.receive(Say(1, "One."))
        node.receive(Say(2, "Two", flush=False))
        self.successResultOf(node.stop(at_once=True))
        self.assertTrue(self.link.is_aborted)
        self.link.speak(PCM24K, FRAME)
        self.link.tell(wire.SpokenAll(True))
        self.assertEqual((self.out, self.clock.getDelayedCalls()), ([], []))

    def test_gently(self) -> None:
        """The end of a config says good-bye to the vendor, and waits for it."""
        node = self.node()
        self.link.closing = Deferred()
        stopping = node.stop(at_once=False)
        self.assertNoResult(stopping)
        self.link.closing.callback(None)
        self.assertIsNone(self.successResultOf(stopping))

    def test_while_dialling(self) -> None:
        """A hang-up ends the dialling."""
        self.dialler.is_slow = True
        node = self.node()
        self.successResultOf(node.stop(at_once=True))
        self.assertEqual(self.dialler.cancelled, ["mouth"])
        self.failureResultOf(self.starting, CancelledError)

    def test_on_the_first_thing_said(self) -> None:
        """A caller who hangs up on the first thing told leaves no connection behind."""
        self.dialler.says_at_once = [wire.Failed(ProviderBusy("mouth", "busy"))]
        node = self.node()
        self.link.tell(wire.Lost(ProviderLost("mouth", "gone")))
        node._emit = lambda value: node.stop(at_once=True)
        node.receive(Say(1, "One."))
        self.assertTrue(self.link.is_aborted)
        self.assertEqual(self.link.texts, [])

    def test_while_dialling_again(self) -> None:
        """That holds for a second connection as well."""
        node = self.node()
        self.link.tell(wire.Lost(ProviderLost("mouth", "gone")))
        self.dialler.is_slow = True
        node.receive(Say(1, "One."))
        self.successResultOf(node.stop(at_once=True))
        self.assertEqual((self.dialler.cancelled, self.out), (["mouth"], []))

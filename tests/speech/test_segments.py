"""Cutting a stream into uploads: when, where, and what is left behind."""

import struct

from twisted.trial.unittest import SynchronousTestCase

from waav.speech.audio import AudioFormat
from waav.speech.segments import Cutting, Segment, Segments, halves
from waav.testing.signal import Signal

FORMATS = (
    AudioFormat("linear16", 8000, 1),
    AudioFormat("linear16", 16000, 1),
    AudioFormat("linear16", 48000, 2),
)


def loud(audio: AudioFormat, seconds: float, level: int = 8000) -> bytes:
    count = audio.size_bytes(seconds) // 2
    return struct.pack(f"<{count}h", *([level, -level] * (count // 2 + 1))[:count])


def quiet(audio: AudioFormat, seconds: float) -> bytes:
    return bytes(audio.size_bytes(seconds))


class HalvesTests(SynchronousTestCase):
    def test_quiet_place(self) -> None:
        """A segment is halved in the pause nearest to its end that lies in its middle half; nothing is lost."""
        for audio in FORMATS:
            data = loud(audio, 1.0) + quiet(audio, 0.2) + loud(audio, 0.8)
            first, second = halves(audio, Segment(data, 10.0, 12.0))
            self.assertEqual(first.data + second.data, data)
            self.assertEqual((first.start_s, second.end_s), (10.0, 12.0))
            self.assertEqual(first.end_s, second.start_s)
            self.assertTrue(11.0 < first.end_s < 11.2, first.end_s)

    def test_too_short(self) -> None:
        """What is too short for two uploads stays whole."""
        audio = FORMATS[1]
        self.assertEqual(halves(audio, Segment(loud(audio, 0.19), 0.0, 0.19)), [])


class OnSilenceTests(SynchronousTestCase):
    def test_same_at_every_rate(self) -> None:
        """Cuts depend on milliseconds of audio, not on bytes: 8 kHz mono and 48 kHz stereo behave alike (STT-OAI-03)."""
        cuts = []
        for audio in FORMATS:
            segments = Segments(audio, Cutting())
            data = quiet(audio, 2.0) + loud(audio, 0.8) + quiet(audio, 3.0)
            found = []
            for at in range(0, len(data), audio.size_bytes(0.02)):
                found += segments.feed(data[at : at + audio.size_bytes(0.02)])
            cuts.append([(round(one.start_s, 3), round(one.end_s, 3)) for one in found])
            self.assertEqual(segments.flush(), [])
        self.assertEqual(cuts, [[(1.7, 3.8)]] * 3)

    def test_threshold_and_duration(self) -> None:
        """Level and length of silence are honoured as set (F-149, F-150)."""
        audio = FORMATS[1]
        data = loud(audio, 1.0, 1000) + quiet(audio, 0.3)
        self.assertEqual(Segments(audio, Cutting()).feed(data), [])
        [one] = Segments(audio, Cutting(silence_s=0.2)).feed(data)
        self.assertAlmostEqual(one.end_s, 1.2)
        deaf = Segments(audio, Cutting(silence_s=0.2, rms_threshold=0.1))
        self.assertEqual((deaf.feed(data), deaf.flush()), ([], []))

    def test_short_speech_waits(self) -> None:
        """Less audio than the minimum is not uploaded by silence alone (F-150)."""
        audio = FORMATS[1]
        data = loud(audio, 0.1) + quiet(audio, 0.3)
        self.assertEqual(Segments(audio, Cutting(silence_s=0.2, min_audio_s=0.5)).feed(data), [])
        self.assertEqual(
            len(Segments(audio, Cutting(silence_s=0.2, min_audio_s=0.3)).feed(data)), 1
        )

    def test_like_new_after_a_cut(self) -> None:
        """After any flush the detector is as new: silence alone uploads nothing, speech cuts at the same place (STT-OAI-04)."""
        audio = FORMATS[1]
        data = loud(audio, 1.0) + quiet(audio, 1.0)
        for end in ("by silence", "by flush"):
            used = Segments(audio, Cutting())
            first = (
                used.feed(data)
                if end == "by silence"
                else used.feed(loud(audio, 1.0)) + used.flush()
            )
            self.assertEqual(len(first), 1)
            self.assertEqual(used.feed(quiet(audio, 5.0)), [])
            [again] = used.feed(data)
            [fresh] = Segments(audio, Cutting()).feed(quiet(audio, 5.0) + data)
            self.assertEqual(again.data, fresh.data)

    def test_pauses_of_the_signal(self) -> None:
        """However the audio is cut up, each utterance is one upload and no word is lost."""
        signal = Signal.speaking("cutting", ["one two three", "four five"])
        for size in (2, 998, 640, 100000):
            if size == 2:
                data = signal.pcm[: 2 * 16000 * 2]
            else:
                data = signal.pcm
            segments = Segments(signal.format, Cutting())
            found = []
            for at in range(0, len(data), size):
                found += segments.feed(data[at : at + size])
            found += segments.flush()
            heard = [
                word.text
                for word in signal.words
                for one in found
                if one.start_s <= word.start_s and word.end_s <= one.end_s
            ]
            expected = [word.text for word in signal.words if word.end_s <= len(data) / 32000]
            self.assertEqual(heard, expected)
            for one in found:
                self.assertEqual(one.data, signal.cut(one.start_s, one.end_s))

    def test_endless_speech(self) -> None:
        """Somebody who never pauses is cut at the next dip after 30 s, and at 60 s at the latest."""
        audio = FORMATS[0]
        [one] = Segments(audio, Cutting()).feed(loud(audio, 65.0))
        self.assertAlmostEqual(one.end_s, 60.0)
        [one] = Segments(audio, Cutting()).feed(
            loud(audio, 33.0) + quiet(audio, 0.3) + loud(audio, 1.0)
        )
        self.assertAlmostEqual(one.end_s, 33.2)

    def test_silence_keeps_nothing(self) -> None:
        """An hour of silence uses no memory."""
        audio = FORMATS[0]
        segments = Segments(audio, Cutting())
        for _ in range(360):
            segments.feed(quiet(audio, 10.0))
        self.assertLessEqual(len(segments._buffer), audio.size_bytes(0.32))


class OtherStrategyTests(SynchronousTestCase):
    audio = AudioFormat("linear16", 16000, 1)

    def test_on_threshold(self) -> None:
        """With a byte threshold, reaching it uploads what is there (F-149)."""
        segments = Segments(self.audio, Cutting("on_threshold", threshold_bytes=64000))
        self.assertEqual(segments.feed(loud(self.audio, 1.9)), [])
        [one] = segments.feed(loud(self.audio, 0.2))
        self.assertEqual(len(one.data), 67200)

    def test_on_disconnect(self) -> None:
        """Uploading at the end only, pauses do not cut (F-149)."""
        segments = Segments(self.audio, Cutting("on_disconnect"))
        data = loud(self.audio, 1.0) + quiet(self.audio, 5.0) + loud(self.audio, 1.0)
        self.assertEqual(segments.feed(data), [])
        [one] = segments.flush()
        self.assertEqual((one.data, one.start_s, one.end_s), (data, 0.0, 7.0))

    def test_upload_limit(self) -> None:
        """24 MiB go out as one upload; more goes out as several, none over the limit (STT-OAI-05)."""
        limit = 25 * 1024 * 1024
        for size, count in ((24 * 1024 * 1024, 1), (60 * 1024 * 1024, 3)):
            segments = Segments(self.audio, Cutting("on_disconnect"))
            found = segments.feed(bytes(size)) + segments.flush()
            self.assertEqual(len(found), count)
            self.assertEqual(sum(len(one.data) for one in found), size)
            self.assertTrue(all(len(one.data) + 44 <= limit for one in found))

    def test_cut_at_the_quietest_place(self) -> None:
        """A buffer that is too large is cut where it is quietest near the limit, never inside a sample."""
        cutting = Cutting("on_disconnect", max_bytes=self.audio.size_bytes(20.0))
        data = loud(self.audio, 17.0) + quiet(self.audio, 0.3) + loud(self.audio, 4.0)
        [one] = Segments(self.audio, cutting).feed(data)
        self.assertTrue(17.0 < one.end_s < 17.3, one.end_s)
        self.assertEqual(len(one.data) % 2, 0)

    def test_too_short(self) -> None:
        """Less than a tenth of a second is not worth a request: OpenAI would refuse it."""
        segments = Segments(self.audio, Cutting("on_disconnect"))
        segments.feed(loud(self.audio, 0.09))
        self.assertEqual(segments.flush(), [])
        segments.feed(loud(self.audio, 0.1))
        [one] = segments.flush()
        self.assertAlmostEqual(one.start_s, 0.09)

"""The time line over lost connections, as arithmetic."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.links.doubles import PCM
from waav.links.backlog import Backlog, bytes_of, whole_samples
from waav.links.websocket.replay_buffer import ReplayBuffer
from waav.speech import wire
from waav.speech.audio import AudioFormat

steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 400)),
        st.tuples(st.just("final"), st.floats(0, 1)),
        st.tuples(st.just("cut"), st.just(0)),
    ),
    max_size=60,
)


class ReplayTests(SynchronousTestCase):
    @given(steps)
    def test_every_sample_is_covered_once_or_said_again(
        self, steps: list[tuple[str, float]]
    ) -> None:
        """However often the line breaks, what a vendor has not accounted for is said again, and only that."""
        replay = ReplayBuffer(PCM, 1e6)
        total = 0  # samples said so far
        base = 0  # where the connection's time begins
        covered = 0
        for kind, amount in steps:
            if kind == "send":
                count = int(amount)
                replay.sent(b"".join((total + i).to_bytes(2, "little") for i in range(count)))
                total += count
            elif kind == "final":
                end = covered + int((total - covered) * amount)
                event = wire.Transcript("x", True, end_s=(end - base) / 16000)
                heard = replay.heard(event)
                if heard is not None:
                    assert isinstance(heard, wire.Transcript) and heard.end_s is not None
                    self.assertAlmostEqual(heard.end_s, end / 16000)
                    covered = max(covered, end)
            else:
                again = b"".join(replay.take())
                expected = b"".join(i.to_bytes(2, "little") for i in range(covered, total))
                self.assertEqual(again, expected)
                base = covered
                replay.sent(again)
            self.assertEqual(replay.kept_bytes, 2 * (total - covered))
        self.assertEqual(replay.dropped_bytes, 0)

    def test_an_ended_call_holds_no_audio(self) -> None:
        """What will not be said again takes no memory, though the link's objects may live on for a while."""
        replay = ReplayBuffer(PCM, 1e6)
        replay.sent(bytes(640))
        replay.clear()
        self.assertEqual((replay.kept_bytes, replay.take()), (0, []))

    def test_the_bound_counts_what_it_drops(self) -> None:
        """What had to be forgotten is known, in seconds, and times stay right."""
        replay = ReplayBuffer(PCM, 1.0)
        for _ in range(25):
            replay.sent(bytes(3200))
        self.assertEqual(replay.dropped_s, 1.5)
        self.assertEqual(sum(map(len, replay.take())), 32000)
        heard = replay.heard(wire.Transcript("x", True, end_s=0.5))
        assert isinstance(heard, wire.Transcript)
        self.assertEqual(heard.end_s, 2.0)

    def test_partial_results_move_but_cover_nothing(self) -> None:
        """Only what will not change any more counts as heard."""
        replay = ReplayBuffer(PCM, 10.0)
        replay.sent(bytes(32000))
        event = wire.Transcript("x", False, end_s=1.0)
        self.assertEqual(replay.heard(event), event)
        self.assertEqual(replay.kept_bytes, 32000)
        replay.heard(wire.Transcript("x", True))  # a final without a time covers nothing
        self.assertEqual(replay.kept_bytes, 32000)
        replay.heard(wire.Transcript("x", True, end_s=9.0))  # more than was said
        self.assertEqual(replay.kept_bytes, 0)


class BacklogTests(SynchronousTestCase):
    def test_goes_on_at_half(self) -> None:
        """The caller is not stopped and let go for every single frame."""
        told: list[bool] = []
        backlog = Backlog(100, told.append)
        for _ in range(12):
            backlog.push(wire.Audio(bytes(10)))
        self.assertEqual(told, [True])
        while len(backlog) > 6:
            backlog.pop()
        self.assertEqual(told, [True])
        backlog.pop()
        self.assertEqual(told, [True, False])
        backlog.push_first([wire.Audio(bytes(60)), wire.Flush()])
        self.assertEqual(told, [True, False, True])
        self.assertEqual(backlog.pop(), wire.Audio(bytes(60)))
        self.assertEqual(backlog.pop(), wire.Flush())
        backlog.clear()
        self.assertEqual((len(backlog), backlog.audio_bytes), (0, 0))

    def test_sizes(self) -> None:
        """Pieces hold whole samples; compressed audio is estimated."""
        stereo = AudioFormat("linear16", 8000, 2)
        self.assertEqual(whole_samples(stereo, 1001), 1000)
        self.assertEqual(whole_samples(stereo, 1), 4)
        self.assertEqual(bytes_of(stereo, 0.5), 16000)
        self.assertEqual(bytes_of(AudioFormat("opus", 48000, 1, "ogg"), 2.0), 32000)

"""pipecat's smallest server for the same calls: its FastAPI transport, its services for Deepgram, and nothing else.

No voice activity detection, no model, no metrics, no observers. Speech leaves as 10 ms frames, as ours does; pipecat's own
default is 40 ms, which costs it less.
"""

import json
import sys
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.deepgram.tts import DeepgramHttpTTSService
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.workers.runner import WorkerRunner

IN_HZ, OUT_HZ = 16000, 24000


class Messages(FrameSerializer):
    """The messages of our protocol that a call of the benchmark needs."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        if isinstance(frame, OutputAudioRawFrame):
            return frame.audio
        if isinstance(frame, OutputTransportMessageFrame | OutputTransportMessageUrgentFrame):
            return json.dumps(frame.message)
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        if isinstance(data, bytes):
            return InputAudioRawFrame(audio=data, sample_rate=IN_HZ, num_channels=1)
        message = json.loads(data)
        if message["type"] == "speak":
            return TTSSpeakFrame(message["text"], append_to_context=False)
        return None


class Results(FrameProcessor):
    """Tells the caller what was recognised."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
            is_final = isinstance(frame, TranscriptionFrame)
            message = {
                "type": "stt_result", "transcript": frame.text, "text": frame.text,
                "is_final": is_final, "is_speech_final": is_final, "confidence": 1.0,
            }  # fmt: skip
            await self.push_frame(OutputTransportMessageUrgentFrame(message=message))
        else:
            await self.push_frame(frame, direction)


def application(vendor_port: int) -> FastAPI:
    """The server."""
    app = FastAPI()
    sessions: list[aiohttp.ClientSession] = []

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        if not sessions:
            connector = aiohttp.TCPConnector(limit=0)
            sessions.append(aiohttp.ClientSession(connector=connector))
        await websocket.accept()
        await websocket.receive_text()  # the config
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                audio_out_10ms_chunks=1,
                audio_out_auto_silence=False,
                audio_out_end_silence_secs=0,
                serializer=Messages(),
            ),
        )
        listening = DeepgramSTTService(api_key="bench", base_url=f"ws://127.0.0.1:{vendor_port}")
        speaking = DeepgramHttpTTSService(
            api_key="bench",
            aiohttp_session=sessions[0],
            base_url=f"http://127.0.0.1:{vendor_port}",
        )
        worker = PipelineWorker(
            Pipeline([transport.input(), listening, Results(), speaking, transport.output()]),
            params=PipelineParams(audio_in_sample_rate=IN_HZ, audio_out_sample_rate=OUT_HZ),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            check_dangling_tasks=False,
        )

        @worker.event_handler("on_pipeline_started")
        async def on_started(_worker: Any, _frame: Frame) -> None:
            await websocket.send_text(json.dumps({"type": "ready"}))

        @transport.event_handler("on_client_disconnected")
        async def on_gone(_transport: Any, _websocket: Any) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await runner.add_workers(worker)
        await runner.run()

    return app


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(
        application(int(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        log_level="warning",
        ws_per_message_deflate=False,
    )

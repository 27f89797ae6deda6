"""Models that run inside the process: recognition, synthesis, voice activity, end of turn, noise."""

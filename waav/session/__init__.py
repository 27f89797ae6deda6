"""One caller from hello to hang-up: the state machine, playback and interruption."""

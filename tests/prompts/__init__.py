"""Telephone prompts of a human speaker through a whole gateway. Debian's package has the recordings."""

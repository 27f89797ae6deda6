"""Doubles for us and for plugin authors: recording player, replay server, provider contract."""

"""``/ws``: one caller's connection, messages and call."""

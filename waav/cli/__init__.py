"""The command ``waav``, a module per command, and the program that a worker is."""

"""The HTTP routes, a module per family."""

"""The web page at ``/console``."""

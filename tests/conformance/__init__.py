"""The Autobahn test suite. It installs itself from PyPI and needs Python 2.7."""

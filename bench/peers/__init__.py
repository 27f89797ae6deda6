"""Servers to compare with. Each is a script of its own environment: ``python -m bench.peers.X PORT VENDOR_PORT``."""

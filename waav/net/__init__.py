"""Sockets on the event loop itself, and the way of WebSocket frames through them."""

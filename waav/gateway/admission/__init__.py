"""Who gets in: addresses, limits, slots, the way to the WebSocket, and what is live."""

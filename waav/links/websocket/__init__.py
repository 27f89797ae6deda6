"""Links over a WebSocket: the socket, and a dialogue that outlives it."""

"""What callers connect to: HTTP routes, the WebSocket, JSON messages, limits and the console."""

"""The sockets to vendors: run a Dialogue over WebSocket, HTTP or an in-process model."""

"""Links over HTTP: our own client, and a dialogue that asks and reads answers with it."""

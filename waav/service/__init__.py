"""The service tree that twistd runs, in one process or several, and the one place that builds it."""

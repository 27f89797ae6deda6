"""The graph every call runs: definition, check, build and nodes."""

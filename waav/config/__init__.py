"""The configuration: YAML, environment and ``.env`` become one frozen value."""

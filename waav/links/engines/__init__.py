"""Links to the gateway's own models: who may ask them when, and the process or threads they run in."""

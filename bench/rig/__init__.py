"""Callers and vendor of the benchmarks: standard library and uvloop, as cheap as Python allows.

They are processes of their own. Each takes a JSON object as its only argument, prints JSON lines, and reads commands,
one word a line.
"""

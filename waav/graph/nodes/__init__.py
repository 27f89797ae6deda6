"""The kinds of nodes, a module per kind, named as a graph's definition names it."""

"""Kinds of edges between the candidates of a pool, each one channel of its graph."""

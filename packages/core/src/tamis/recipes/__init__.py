"""Ready pipelines, published checkpoints, and pipelines from plain data."""

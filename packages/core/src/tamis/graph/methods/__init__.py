"""What a graph does with scores, or with vectors: plain functions on arrays."""

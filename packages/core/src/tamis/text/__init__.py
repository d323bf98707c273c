"""Words and tokens of texts."""

"""A ranking for human eyes."""

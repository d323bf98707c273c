"""How many candidates to keep, read from their scores."""

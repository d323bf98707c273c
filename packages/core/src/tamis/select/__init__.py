"""How many candidates to keep."""

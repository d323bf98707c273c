"""How judgements add up: pairs to scores, several orders to one, two scores to one. Arithmetic only."""

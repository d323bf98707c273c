"""From scores to probabilities and confidences; what fits leave behind."""

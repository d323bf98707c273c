"""From scores to probabilities and confidences; what a fit produces."""

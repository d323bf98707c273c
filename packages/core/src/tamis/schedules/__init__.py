"""Which calls in what order. Pure generators that know nothing of prompts, models or queries."""

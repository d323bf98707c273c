"""What one model call looks at, and how a score or an order leaves it."""

"""One query's candidates as arrays."""

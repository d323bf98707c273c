"""Building prompts from untrusted text and reading what comes back."""

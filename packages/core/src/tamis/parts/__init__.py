"""What a part that can be named and written as data is. Knows no family of parts."""

"""Judge x schedule under the names users know."""

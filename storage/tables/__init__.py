"""What the store holds, as SQL and as records."""

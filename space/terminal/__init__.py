"""What every command prints through: streams that never fail, text that fits, counts in words."""

"""Images, where they come from, and the pairs drawn from them."""

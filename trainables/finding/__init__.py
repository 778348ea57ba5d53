"""From the name of a trainable to the trainable, a user's own among them."""

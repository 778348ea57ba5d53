"""What searches, their store and its pages cost besides training, and what they find."""

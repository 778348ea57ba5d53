"""Does what somebody wrote keep what a trainable must? ``python -m trainables check``."""

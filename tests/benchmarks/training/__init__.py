"""What training takes, alone and batched, and what batching changes."""

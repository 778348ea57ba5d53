"""What a trial is, and who decides its state."""

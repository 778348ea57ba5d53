"""Many runs of one architecture trained as one model with a leading run dimension."""

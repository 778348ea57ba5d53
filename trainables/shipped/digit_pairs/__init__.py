"""Which of two digits is larger: the study's seven networks on pairs of digits."""

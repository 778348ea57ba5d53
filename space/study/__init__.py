"""What a study searches, how, towards what and for how long."""

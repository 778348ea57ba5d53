"""Reading space and config files: values, their places, what is wrong."""

"""What all commands share: options, streams, exit statuses."""

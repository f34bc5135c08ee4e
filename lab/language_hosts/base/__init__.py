"""What all language hosts share."""

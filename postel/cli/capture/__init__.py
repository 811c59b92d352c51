"""What the commands that read captures share."""

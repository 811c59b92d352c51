"""Code that the commands which read captures share."""

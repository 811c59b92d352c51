"""Code shared by the commands that read captures: ``explain`` and ``ladder``."""

"""What Postel's own tests use, as a product: for testing code that stands beside TCP, around it or underneath it."""

__all__: list[str] = []

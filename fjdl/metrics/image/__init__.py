"""How similar two images are."""

"""Git objects: reading and writing them."""

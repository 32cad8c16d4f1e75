"""The user's checkout: what is uncommitted in it, and how it follows the branch."""

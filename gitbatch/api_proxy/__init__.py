"""The one way out of a sandbox without a network: a proxy that lets through the model's API of one item."""

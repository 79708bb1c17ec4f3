"""Bounds by a network that starts from what `auto` fits, for every kind of Y."""

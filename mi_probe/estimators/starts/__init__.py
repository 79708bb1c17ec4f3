"""Closed forms that networks are trained on top of: what `auto` takes for other Y."""

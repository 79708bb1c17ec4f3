"""Models across folds: the stack of `auto` for classes, and the loop of probes."""

"""Posteriors of classes on vectors: the members of the stack of `auto`, and the stack."""

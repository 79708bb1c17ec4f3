"""Discriminative models of q(y|x): what a probe of some family can use."""

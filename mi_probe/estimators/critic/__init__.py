"""Variational bounds, their gradients, and the loop of probes, densities and poolings."""

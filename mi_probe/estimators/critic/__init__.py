"""Variational bounds: their values, their gradients, and the loop that trains a critic."""

"""Continuous Y: closed forms, what they come to, nearest neighbours."""

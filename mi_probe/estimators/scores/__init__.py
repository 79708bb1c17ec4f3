"""Continuous Y: closed forms, the towers that go beyond them, nearest neighbours."""

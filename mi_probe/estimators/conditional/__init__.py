"""The engine of conditional models q(y|x): fitted, chosen on other rows, calibrated."""

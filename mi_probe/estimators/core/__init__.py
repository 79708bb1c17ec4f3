"""What every estimate goes through: X and Y checked, folds, held-out terms, the null."""

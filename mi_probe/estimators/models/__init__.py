"""Models that several estimators share: arrays in, log posteriors out."""

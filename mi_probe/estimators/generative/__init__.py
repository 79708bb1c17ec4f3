"""Models of p(x|y), turned into q(y|x) by Bayes' rule."""

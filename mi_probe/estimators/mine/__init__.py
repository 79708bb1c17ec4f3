"""MINE: statistics networks trained from zero on a variational bound, held out.

Read in this order: `statistics_network` (T(x, y)), `critic.bounds` (what training
maximises), `ascent` (the loop), `ensemble` (members weighed), `cross_fit` (folds, on
`inputs` and `marginals`), `mine` (the estimator). What a network begins from (`Start`) is
empty here; `starts` gives it to `auto`.
"""

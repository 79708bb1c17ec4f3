"""MINE: statistics networks trained from zero on a variational bound, held out.

Read in this order: `statistics_network` (T(x, y)), `critic.bounds` (what training
maximises), `ascent` (the loop), `ensemble` (members weighed), `mine` (the estimator).
"""

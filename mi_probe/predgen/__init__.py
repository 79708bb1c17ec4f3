"""The three systems, Predictor, Generator and PredGen, and their training.

Kowsher et al. 2025, https://arxiv.org/abs/2502.17817.
"""

"""Token-level information: one row a token, and what it adds up to over a data set.

`population` knows tables only; `words` knows tokenizers; `comparison` runs models.
"""

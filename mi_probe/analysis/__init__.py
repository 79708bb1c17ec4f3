"""Estimates of whole profiles, and statistics and words on the tables they become.

`labels`, `summaries` and `reading` know tables only, never torch: figures rest on them.
"""

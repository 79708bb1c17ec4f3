"""One self-contained page of a results folder: `python -m mi_probe.report RESULTS`.

`sources` reads what is in the folder, `verdicts`, `estimates`, `tables`, `pictures` and
`token_maps` turn it into words, tables, SVG and JSON, and `page` fills the template in
`web/`.
"""

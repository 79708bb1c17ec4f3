"""Results folders whose held-out terms are known, for the tests of what compares them."""

import numpy as np
from result_rows import row

from mi_probe.contents import digest
from mi_probe.results import Results, Row, id_numbers
from mi_probe.rows import COLUMNS


def keep(folder, terms, *, ids=None, labels=None, group=None, fold=None, **more):
    """One estimate with these terms, on rows r0, r1 ... unless told; gives its row id."""
    terms = np.asarray(terms, dtype=float)
    n = len(terms)
    error = float(terms.std(ddof=1) / np.sqrt(n))
    told = row(float(terms.mean()), stderr=error, n=n, **more)
    told |= {name: None for name in COLUMNS if name not in told}
    told |= {"code_version": "0", "config_sha": "c"}
    key = {"told": {k: repr(v) for k, v in more.items()}, "n_permutations": 20}
    told["row_id"] = digest(key)
    told["layer"] = None if told["layer"] is None else int(told["layer"])
    arrays = {
        "pointwise": terms,
        "labels": np.arange(n) % 2 if labels is None else np.asarray(labels),
        "ids": id_numbers([f"r{i}" for i in range(n)] if ids is None else ids),
        "null": np.zeros(0),
        "fold": np.arange(n) % 5 if fold is None else fold,
    }
    if group is not None:
        arrays["group"] = np.asarray(group)
    Results(folder).add(Row(**told), key, arrays)
    return told["row_id"]


def networks(folder, *, n=300, difference=0.1, seed=0, **more):
    """Two models whose terms have their noise in common; `b` lies this much higher."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal(n)
    return [
        keep(
            folder, 0.3 + shift + shared + 0.2 * rng.standard_normal(n), model=name, **more
        )
        for name, shift in (("lab/a", 0.0), ("lab/b", difference))
    ]

"""What token-level information costs: CPU seconds on one thread, and peak memory.

    python benchmarks/token_speed.py                  # 10,000 sentences x 64 tokens
    python benchmarks/token_speed.py --rows 1000

Sentences of noise with the label at one token; both readers (each token alone, and all
prefixes). The target is 180 CPU seconds at one layer.
"""

import argparse
import json
import resource
import time

import numpy as np
import torch

from mi_probe.estimators.prefixes.token_information import token_information
from mi_probe.hidden import HiddenStates


def planted(n: int, t: int, d: int) -> tuple[HiddenStates, np.ndarray, int]:
    """States of noise, the label in one direction of one token."""
    values = torch.randn(n, t, d, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    y, place = rng.integers(2, size=n), t // 3
    values[torch.arange(n), place, 0] += torch.as_tensor(8.0 * (2 * y - 1)).float()
    mask = np.arange(t) < rng.integers(t // 2, t + 1, size=(n, 1))
    return HiddenStates(values, mask), y, place


def main() -> None:
    """Measure once and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--width", type=int, default=576)
    given = parser.parse_args()
    torch.set_num_threads(1)
    z, y, place = planted(given.rows, given.tokens, given.width)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    found = token_information(z, y)
    seconds = time.process_time() - began
    prefix = found["prefix"]
    share = float(np.nanmean(prefix.increments, 0)[place]) / prefix.nats
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "rows": given.rows,
                "tokens": given.tokens,
                "width": given.width,
                "real_tokens": int(z.mask.sum()),
                "cpu_seconds": round(seconds, 1),
                "peak_rise_mb": round(peak - before),
                "nats": round(prefix.nats, 4),
                "share_on_the_planted_token": round(share, 4),
            }
        )
    )


if __name__ == "__main__":
    main()

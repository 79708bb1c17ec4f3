"""A results folder with everything that a report can show, written by hand."""

import json
from pathlib import Path

import pandas as pd
from result_rows import grid

WORDS = ("<s>", "a", "fun", "ny", "film", "but", "not", "pre", "tty")
WORD = (-1, 0, 1, 1, 2, 3, 4, 5, 5)
WORD_TEXT = ("<s>", "a", "funny", "funny", "film", "but", "not", "pretty", "pretty")
INCREMENTS = (0.0, 0.01, 0.2, 0.15, 0.02, -0.05, -0.2, 0.1, 0.05)

VERDICT = (
    "A gap is shown: I(Y;Z|Z_mean) = 0.120 nats [0.080, 0.160], 17 % of H(Y) = 0.693; "
    "conditional randomisation p = 0.0476 with 20 draws. Reading: usable information at "
    "this capacity; the states determine the text."
)
NO_GAP = (
    "No gap is shown: I(Y;Z|Z_last) = 0.004 nats [-0.020, 0.028]; p = 0.6 with 20 draws."
)


def tokens(label: str = "fresh", sentences: int = 3) -> pd.DataFrame:
    """A row a token of `WORDS`; each sentence is the first, scaled."""
    rows = []
    for i in range(sentences):
        total = 0.0
        for j, word in enumerate(WORDS):
            increment = INCREMENTS[j] * (i + 1)
            total += increment
            rows.append(
                {
                    "row_id": f"r{i}",
                    "position": j,
                    "position_from_end": len(WORDS) - 1 - j,
                    "token": word,
                    "token_id": j,
                    "word": WORD[j],
                    "word_text": WORD_TEXT[j],
                    "role": "prompt",
                    "special": j == 0,
                    "label": label,
                    "predicted": "rotten",
                    "pointwise_nats": 0.3 - 0.05 * j,
                    "increment_nats": increment,
                    "cumulative_nats": total,
                    "gradient_x_input": 0.5 * j,
                    "attention": float("nan"),
                    "ceiling_nats": 0.9,
                }
            )
    return pd.DataFrame(rows)


def gaps(subject: str = "lab/tiny") -> pd.DataFrame:
    """One gap that is shown, one that is not."""
    common = {
        **{"subject": subject, "objective": "predictor", "step": 100, "task": "reviews"},
        **{"site": "final_norm", "layer": 6, "token_set": "prompt", "full_nats": 0.4},
        **{"n": 1234, "seed": 0, "H_Y_nats": 0.693},
    }
    shown = {
        **{"pooling": "mean", "pooled_nats": 0.28, "gap_nats": 0.12, "ci_low": 0.08},
        **{"ci_high": 0.16, "p_value": 0.0476, "verdict": VERDICT},
        "reading": "usable information at this capacity",
    }
    none = shown | {
        **{"pooling": "last", "pooled_nats": 0.396, "gap_nats": 0.004, "ci_low": -0.02},
        **{"ci_high": 0.028, "p_value": 0.6, "verdict": NO_GAP},
    }
    return pd.DataFrame([common | shown, common | none])


def rungs() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A capacity ladder and a noise ladder."""
    common = {
        **{"subject": "lab/tiny", "task": "reviews", "site": "final_norm", "layer": 6},
        **{"pooling": "mean", "H_Y_nats": 0.693, "n": 1234},
    }
    capacity = [
        common
        | {
            **{"rung": rung, "capacity": i, "full_nats": 0.3 + 0.05 * i},
            **{"pooled_nats": 0.25 + 0.02 * i, "gap_nats": 0.05 + 0.03 * i},
            **{"ci_low": 0.02 + 0.03 * i, "ci_high": 0.08 + 0.03 * i, "chosen": i == 2},
        }
        for i, rung in enumerate(("linear", "mlp", "attention"))
    ]
    noise = [
        common
        | {
            **{"sigma": sigma, "full_nats": 0.4 - 0.2 * sigma, "full_low": 0.3},
            **{"full_high": 0.45, "pooled_nats": 0.3 - 0.2 * sigma, "pooled_low": 0.2},
            **{"pooled_high": 0.35, "gap_nats": 0.1, "ci_low": 0.05, "ci_high": 0.15},
        }
        for sigma in (0.0, 0.1, 0.5)
    ]
    return pd.DataFrame(capacity), pd.DataFrame(noise)


def write(
    folder: Path,
    *,
    results: pd.DataFrame | None = None,
    token_table: pd.DataFrame | None = None,
    subject: str = "lab/tiny",
) -> str:
    """The folder's path, after everything was written into it."""
    (folder / "tokens").mkdir(parents=True)
    results = grid(model=subject) if results is None else results
    results.to_csv(folder / "results.csv", index=False)
    gaps(subject).to_csv(folder / "gaps.csv", index=False)
    for name, table in zip(("capacity", "noise"), rungs(), strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    for site in ("block.2", "final_norm"):
        stem = folder / "tokens" / site
        table = tokens() if token_table is None else token_table
        table.to_parquet(f"{stem}.tokens.parquet")
        about = {"subject": subject, "site": site, "task": "reviews", "n": 900}
        about |= {"target": "sentiment", "H_Y_nats": 0.693, "notes": ["1 cut"]}
        about |= {"reading": ["Adds up.", "That interval holds 0."], "I_YZ_ci": [-0.1, 0.2]}
        if site == "final_norm":
            about |= {"predicted_by": "nothing: the words are of the labels"}
        Path(f"{stem}.json").write_text(json.dumps(about), encoding="utf-8")
        types = pd.DataFrame(
            {"token": ["funny", " the"], "n": [40, 300], "value_nats": [0.4, 0.01]}
            | {"ci_low": [0.3, 0.0], "ci_high": [0.5, 0.02], "H_Y_nats": [0.69, 0.69]}
        )
        types.to_csv(f"{stem}.types.csv", index=False)
        words = pd.DataFrame(
            {"predicted_word": ["fresh"], "word": ["funny"], "n": [40], "value_nats": [0.4]}
            | {"ci_low": [0.3], "ci_high": [0.5]}
        )
        words.to_csv(f"{stem}.words.csv", index=False)
        pairs = {"generated_position": [0], "input_from_end": [1], "n": [900]}
        pairs |= {"value_nats": [0.2], "ci_low": [0.1], "ci_high": [0.3]}
        pd.DataFrame(pairs).to_csv(f"{stem}.generated.csv", index=False)
    run = {"run_id": "1", "command": "python -m mi_probe.estimate", "started": "2026-01-01"}
    run |= {"environment": {"git_commit": "abc", "packages": {"torch": "2.13.0"}}}
    record = json.dumps({"schema_version": 2, "runs": [run]})
    (folder / "provenance.json").write_text(record, encoding="utf-8")
    return str(folder)

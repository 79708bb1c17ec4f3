"""What capture costs against the same model's full forward.

    python benchmarks/capture_cost.py

All variants run in one process, interleaved, their order reversed every other round;
process CPU time is compared by the median of paired ratios, because wall time on a
shared machine measures the neighbours. Peak memory is that of a fresh process each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from mi_probe.backbones import Backbone, load_backbone, wrap_backbone
from mi_probe.capture import Sequences, extract

ROWS, TOKENS = 16, 128
TARGET = 0.65
ALL = (
    "full forward",
    "backbone",
    "capture, pooled",
    "capture, full",
    "one shallow site",
)


def random_llama() -> transformers.PreTrainedModel:
    """8 layers, hidden 512, vocabulary 32 000: 41 million parameters."""
    config = transformers.LlamaConfig(
        vocab_size=32000,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        max_position_embeddings=512,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.LlamaForCausalLM(config).eval()


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A stand-in: the benchmark feeds token ids."""
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>"
    )


def subject(name: str) -> tuple[transformers.PreTrainedModel, Backbone]:
    """The language model with its head, and the backbone of the same weights."""
    if name == "random-llama":
        model = random_llama()
        return model, wrap_backbone(model, tokenizer())
    backbone = load_backbone(name, local_files_only=True)
    head = transformers.AutoModelForCausalLM.from_config(backbone.base.config)
    head.base_model.load_state_dict(backbone.base.state_dict())
    head.tie_weights()
    return head.eval(), wrap_backbone(head, backbone.tokenizer)


def rows(vocabulary: int) -> Sequences:
    """16 rows; half of them half as long, so that half of the batch is padded."""
    generator = torch.Generator().manual_seed(0)
    lengths = [TOKENS if i % 2 else TOKENS // 2 for i in range(ROWS)]
    ids = [
        torch.randint(3, vocabulary, (length,), generator=generator).tolist()
        for length in lengths
    ]
    return Sequences(ids=tuple(map(str, range(ROWS))), input_ids=ids)


def variants(name: str) -> dict[str, Callable[[], object]]:
    """Each does the same 16 rows in one batch."""
    model, backbone = subject(name)
    data = rows(model.config.vocab_size)
    ids = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(data.input_ids):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    quiet = {"batch_size": ROWS, "progress": False, "padding_check": False}

    def forward(network: torch.nn.Module) -> object:
        with torch.inference_mode():
            return network(**inputs)

    return {
        "full forward": lambda: forward(model),
        "backbone": lambda: forward(backbone.base),
        "capture, pooled": lambda: extract(backbone, data, views=("mean",), **quiet),
        "capture, full": lambda: extract(backbone, data, **quiet),
        "one shallow site": lambda: extract(
            backbone, data, sites="block.1", views=("mean",), **quiet
        ),
    }


def measure(name: str, n_rounds: int) -> dict[str, dict[str, float]]:
    """CPU seconds of each variant and the paired ratio to the full forward."""
    runs = variants(name)
    seconds: dict[str, list[float]] = {key: [] for key in ALL}
    for key in ALL:
        runs[key]()
    for i in range(n_rounds):
        for key in ALL if i % 2 else reversed(ALL):
            start = time.process_time()
            runs[key]()
            seconds[key].append(time.process_time() - start)
    plain = seconds["full forward"]
    table = {}
    for key, times in seconds.items():
        ratios = [a / b for a, b in zip(times, plain, strict=True)]
        rise = subprocess.run(
            [sys.executable, __file__, "--peak-of", key, "--model", name],
            check=True,
            capture_output=True,
            text=True,
        )
        table[key] = {
            "cpu_seconds_median": statistics.median(times),
            "ratio_paired_median": statistics.median(ratios),
            "ratio_lowest": min(ratios),
            "ratio_highest": max(ratios),
            "peak_rss_rise_mb": float(rise.stdout.split()[-1]),
        }
    return table


def peak_rise(name: str, key: str) -> float:
    """Megabytes that one run adds to the loaded model; NaN where Linux is not."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    run = variants(name)[key]
    if not reset.exists():
        return float("nan")

    def megabytes(field: str) -> float:
        (line,) = (x for x in status.read_text().splitlines() if x.startswith(field))
        return int(line.split()[1]) / 1024

    # getrusage will not do: a child process begins with its parent's peak.
    reset.write_text("5")
    before = megabytes("VmRSS")
    run()
    return megabytes("VmHWM") - before


def main() -> None:
    """Measure, print a table, write the JSON beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", help="one subject instead of all")
    parser.add_argument("--peak-of", choices=ALL, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.peak_of:
        print(peak_rise(asked.model, asked.peak_of))
        return
    out = Path(__file__).with_suffix(".json")
    # One subject at a time may be measured again.
    result: dict[str, object] = json.loads(out.read_text()) if out.exists() else {}
    result |= {
        "rows": ROWS,
        "tokens": TOKENS,
        "threads": 1,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "target_ratio": TARGET,
    }
    for name in [asked.model] if asked.model else ["random-llama", "smollm2-135m"]:
        try:
            table = measure(name, asked.rounds)
        except (ValueError, OSError) as error:
            print(f"{name}: not available ({error})")
            continue
        result[name] = {"rounds": asked.rounds, "variants": table}
        print(f"\n{name}, {ROWS} x {TOKENS} tokens, CPU, 1 thread")
        print(f"{'variant':18} {'CPU s':>8} {'ratio':>7} {'range':>15} {'peak MB':>8}")
        for key, row in table.items():
            span = f"{row['ratio_lowest']:.3f}-{row['ratio_highest']:.3f}"
            print(
                f"{key:18} {row['cpu_seconds_median']:8.3f} "
                f"{row['ratio_paired_median']:7.3f} {span:>15} "
                f"{row['peak_rss_rise_mb']:8.0f}"
            )
        ratio = table["capture, pooled"]["ratio_paired_median"]
        least = table["backbone"]["ratio_paired_median"]
        # The head's share of the forward, and so the target, is the model's own.
        target = f"; target <= {TARGET}" if name == "random-llama" else ""
        print(f"every site pooled: {ratio:.3f} (backbone alone {least:.3f}{target})")
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n{out.name} written")


if __name__ == "__main__":
    main()

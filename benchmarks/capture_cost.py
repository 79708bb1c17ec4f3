"""What capture costs against the same model's full forward.

    python benchmarks/capture_cost.py
    python benchmarks/capture_cost.py --divided     # one process against two, on one store

All variants run in one process, interleaved, their order reversed every other round;
process CPU time is compared by the median of paired ratios, because wall time on a
shared machine measures the neighbours. Peak memory is that of a fresh process each.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from mi_probe.backbones import Backbone, load_backbone, wrap_backbone
from mi_probe.capture import Sequences, extract
from mi_probe.division import shard_of

ROWS, TOKENS = 16, 128
DIVIDED = 256
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


def subject(
    name: str, device: str = "cpu"
) -> tuple[transformers.PreTrainedModel, Backbone]:
    """The language model with its head, and the backbone of the same weights."""
    if name == "random-llama":
        model = random_llama().to(device)
        return model, wrap_backbone(model, tokenizer())
    backbone = load_backbone(name, local_files_only=True)
    head = transformers.AutoModelForCausalLM.from_config(backbone.base.config)
    head.base_model.load_state_dict(backbone.base.state_dict())
    head.tie_weights()
    return head.eval().to(device), wrap_backbone(head, backbone.tokenizer)


def rows(vocabulary: int, n: int = ROWS) -> Sequences:
    """Rows; half of them half as long, so that half of 16 in one batch is padded."""
    generator = torch.Generator().manual_seed(0)
    lengths = [TOKENS if i % 2 else TOKENS // 2 for i in range(n)]
    ids = [
        torch.randint(3, vocabulary, (length,), generator=generator).tolist()
        for length in lengths
    ]
    return Sequences(ids=tuple(map(str, range(n))), input_ids=ids)


def variants(name: str, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """Each does the same 16 rows in one batch."""
    model, backbone = subject(name, device)
    data = rows(model.config.vocab_size)
    ids = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(data.input_ids):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    inputs: dict[str, Any] = {"use_cache": False}
    inputs |= {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
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


def ratios(
    runs: dict[str, Callable[[], object]], n_rounds: int, clock: Callable[[], float]
) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds of each variant, and their paired ratios to the full forward."""
    seconds: dict[str, list[float]] = {key: [] for key in ALL}
    for key in ALL:
        runs[key]()
    for i in range(n_rounds):
        for key in ALL if i % 2 else reversed(ALL):
            start = clock()
            runs[key]()
            seconds[key].append(clock() - start)
    plain = seconds["full forward"]
    return {
        key: (times, [a / b for a, b in zip(times, plain, strict=True)])
        for key, times in seconds.items()
    }


def measure(name: str, n_rounds: int) -> dict[str, dict[str, float]]:
    """CPU seconds of each variant and the paired ratio to the full forward."""
    table = {}
    found = ratios(variants(name), n_rounds, time.process_time)
    for key, (times, of_full) in found.items():
        rise = subprocess.run(
            [sys.executable, __file__, "--peak-of", key, "--model", name],
            check=True,
            capture_output=True,
            text=True,
        )
        table[key] = {
            "cpu_seconds_median": statistics.median(times),
            "ratio_paired_median": statistics.median(of_full),
            "ratio_lowest": min(of_full),
            "ratio_highest": max(of_full),
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


def share(store: str, shard: str) -> None:
    """One process of `divided`: make ready, wait for a line, capture, say what it took."""
    _, backbone = subject("random-llama")
    data = rows(backbone.base.config.vocab_size, DIVIDED)
    told = {"views": ("mean",), "batch_size": ROWS, "progress": False}
    extract(backbone, rows(backbone.base.config.vocab_size), **told)  # warm up
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    extract(backbone, data, store=store, shard=shard_of(shard), **told)
    print(time.process_time() - began)


def divided(n_rounds: int) -> dict[str, float]:
    """Wall and CPU seconds of one process and of two that fill a store; medians."""
    wall: dict[int, list[float]] = {1: [], 2: []}
    cpu: dict[int, list[float]] = {1: [], 2: []}
    for i in range(n_rounds):
        for count in (1, 2) if i % 2 else (2, 1):
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
                line = [sys.executable, __file__, "--share", folder]
                running = [
                    stack.enter_context(
                        subprocess.Popen([*line, f"{k + 1}/{count}"], **pipes)
                    )
                    for k in range(count)
                ]
                for one in running:
                    assert one.stdout.readline() == "ready\n"
                began = time.perf_counter()
                for one in running:
                    one.stdin.write("\n")
                    one.stdin.flush()
                took = [float(one.stdout.readline()) for one in running]
                wall[count].append(time.perf_counter() - began)
                cpu[count].append(sum(took))
                said = f"{wall[count][-1]:.1f} s, CPU {cpu[count][-1]:.1f} s"
                print(f"processes {count}: {said}", file=sys.stderr)
    middle = statistics.median
    return {
        "rows": DIVIDED,
        "rounds": n_rounds,
        "wall_seconds_of_one": middle(wall[1]),
        "wall_seconds_of_two": middle(wall[2]),
        "wall_ratio_paired_median": middle(
            one / two for one, two in zip(wall[1], wall[2], strict=True)
        ),
        "cpu_seconds_of_one": middle(cpu[1]),
        "cpu_seconds_of_two": middle(cpu[2]),
    }


def main() -> None:
    """Measure, print a table, write the JSON beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", help="one subject instead of all")
    parser.add_argument("--peak-of", choices=ALL, help=argparse.SUPPRESS)
    parser.add_argument("--divided", action="store_true", help="that alone")
    parser.add_argument("--share", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.peak_of:
        print(peak_rise(asked.model, asked.peak_of))
        return
    if asked.share:
        share(*asked.share)
        return
    out = Path(__file__).with_suffix(".json")
    # One subject at a time may be measured again.
    result: dict[str, object] = json.loads(out.read_text()) if out.exists() else {}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    if asked.divided:
        found = divided(asked.rounds)
        print(*(f"{key} {value:.4g}" for key, value in found.items()), sep=", ")
        print(f"{found['wall_ratio_paired_median']:.2f} times as fast; target >= 1.7")
        out.write_text(json.dumps({**result, "divided": found | versions}, indent=1) + "\n")
        return
    result |= {
        "rows": ROWS,
        "tokens": TOKENS,
        "threads": 1,
        **versions,
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

"""Everything that needs an NVIDIA GPU, in one run: ``python -m tests.gpu [--out FOLDER] [--quick]``.

Prints a table and writes two files: ``gpu.csv``, every figure with device, versions and date, and ``race-gpu.csv``, the
table that notebook 13 shows to readers without a GPU, marked as recorded. Without a GPU it says so and ends well.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from unittest import mock

import torch

from cnnviz.measure import race, roofline
from cnnviz.training import _recorded
from tests.benchmarks import races, training
from tests.benchmarks.rows import Row, show

RECORDED = Path(__file__).parents[1] / "cnnviz" / "measure" / "recorded"
DEVICE, BATCH = "cuda", 64
CHANNELS, SIZES = (64, 128, 256, 512), (14, 28, 56, 112)
NUMBERS = (("float32", False), ("bfloat16", True))  # and the layout that goes with them
SHARE = 80  # per cent of a bare copy or product in the same call


def bare(call: Callable[[], object], runs: int = 10) -> float:
    """Seconds of one run, the best of three blocks, by CUDA events."""
    call()
    taken = []
    for _ in range(3):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(runs):
            call()
        stop.record()
        stop.synchronize()
        taken.append(start.elapsed_time(stop) / 1000 / runs)
    return min(taken)


def roof(dtype: str, channels_last: bool) -> list[Row]:
    """Peak and bandwidth beside what a bare product and a bare copy reach."""
    found = roofline(DEVICE, dtype, channels_last)
    kind = getattr(torch, dtype)
    source = torch.zeros(2**28, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    copied = 2 * source.numel() / bare(lambda: target.copy_(source))
    first, second = (torch.rand(8192, 8192, device=DEVICE).to(kind) for _ in range(2))
    product = 2 * 8192**3 / bare(lambda: first @ second)
    return [
        Row(f"{dtype}: peak", found.peak / 1e12, "TF/s", note=repr(found).replace("\n  ", "; ") + tf32(dtype)),
        Row("  matrix product, of a bare one", 100 * found.ceilings["dense"] / product, "%", SHARE, more=True),
        Row(f"{dtype}: bandwidth", found.bandwidth / 1e9, "GB/s"),
        Row("  of a bare copy", 100 * found.bandwidth / copied, "%", SHARE, more=True),
    ]


def tf32(dtype: str) -> str:
    """Where float32 is less than its name says: cuDNN's convolutions round to 10 bits unless told otherwise."""
    if dtype != "float32" or torch.cuda.get_device_capability() < (8, 0):
        return ""
    used = {"convolutions": torch.backends.cudnn.allow_tf32, "products": torch.backends.cuda.matmul.allow_tf32}
    names = [name for name, is_so in used.items() if is_so]
    return f"; TF32 in {' and '.join(names)}" if names else ""


def replayed(quick: bool) -> list[Row]:
    """`fit` with steps replayed as CUDA graphs beside `fit` with Python making each call: the same losses, sooner."""
    from cnnviz import fit, load, models

    fit(models.create("lenet5"), load("digits"), 1, device=DEVICE).result()  # CUDA itself starts
    losses, seconds, replays = [], [], []
    for devices in ({DEVICE}, set()):
        torch.manual_seed(0)
        with mock.patch.object(_recorded, "DEVICES", devices), counted() as made:
            start = time.perf_counter()
            run = fit(models.create("lenet5"), load("digits"), 2 if quick else 10, 0.05, "momentum", device=DEVICE)
            losses.append([epoch.train_loss for epoch in run.result().epochs])
        seconds.append(time.perf_counter() - start)
        replays.append(len(made))
    apart = max(abs(one - other) / other for one, other in zip(*losses, strict=True))
    return [
        Row(
            "CUDA graphs recorded for LeNet-5", replays[0], "", 2, more=True, note="two forms of batch, two graphs each"
        ),
        Row("  losses of its epochs with and without, furthest apart", 100 * apart, "%", 1),
        Row("  times as fast with as without", seconds[1] / seconds[0], "x", 1, more=True),
    ]


@contextlib.contextmanager
def counted() -> Iterator[list[object]]:
    """A list that grows with each recording that succeeds."""
    made, record = [], _recorded.record

    def counting(*given: object) -> object:
        made.append(result := record(*given))
        return result

    with mock.patch.object(_recorded, "record", counting):
        yield made


def learning(quick: bool) -> list[Row]:
    """The pace of `fit`: against the textbook loop, and a larger network in two precisions."""
    pairs = [(training.paced("ours", DEVICE), training.paced("textbook", DEVICE)) for _ in range(1 if quick else 3)]
    paces = {precision: paced(precision, 1 if quick else 5) for precision in ("float32", "bfloat16")}
    times = statistics.median(one / other for one, other in pairs)
    return [
        Row("fit on LeNet-5: times the pace of the textbook loop", times, "x", training.GPU_BAR, more=True),
        *(Row(f"fit on ResNet-20, batch 256, {precision}", pace, "/s") for precision, pace in paces.items()),
    ]


def paced(precision: str, epochs: int) -> float:
    """Pictures a second of a residual network with `fit`, after an epoch that does not count."""
    from cnnviz import fit, load, models

    digits, options = load("digits"), {"lr": 0.05, "batch_size": 256, "device": DEVICE, "precision": precision}
    for number in (1, epochs):
        network = models.create("resnet_cifar", depth=20, in_channels=1)
        start = time.perf_counter()
        fit(network, digits, epochs=number, **options).result()
    return epochs * len(digits.train_x) / (time.perf_counter() - start)


def parts(quick: bool) -> dict[str, Callable[[], list[Row]]]:
    """What is measured, by title."""
    found: dict[str, Callable[[], list[Row]]] = {}
    for dtype, last in NUMBERS:
        found[f"Roofline, {dtype}"] = partial(roof, dtype, last)
        found[f"Predicted and measured, {dtype}, batch {BATCH}"] = partial(
            races.measure, quick, DEVICE, BATCH, dtype, last
        )
    return {**found, "Recorded steps": partial(replayed, quick), "Training": partial(learning, quick)}


def about() -> dict[str, str]:
    """Device, versions and date."""
    versions = f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return {
        "device": torch.cuda.get_device_name(),
        "versions": versions,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": date.today().isoformat(),
    }


def write(rows: list[Row], path: Path) -> None:
    """One line a figure."""
    facts = about()
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["figure", "value", "unit", "bar", "kept", "note", *facts])
        for row in rows:
            bar = "" if row.bar is None else row.bar
            table.writerow([row.name.strip(), f"{row.value:.4g}", row.unit, bar, row.passed, row.note, *facts.values()])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=RECORDED, help="folder for the two CSV files")
    parser.add_argument("--quick", action="store_true", help="few samples: does it run at all?")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("No CUDA GPU here: skipped, nothing was measured and nothing was written.")
        return 0
    print(", ".join(about().values()), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    failed = []
    for title, part in parts(options.quick).items():
        try:
            rows += show(title, part())
        except RuntimeError as error:  # out of memory is one; the other parts may still fit
            failed.append(title)
            print(f"\n{title}: FAILED, {error}", flush=True)
        write(rows, options.out / "gpu.csv")
    result = race(CHANNELS, SIZES[:2] if options.quick else SIZES, batch=BATCH, device=DEVICE)
    result.about["setting"] += tf32("float32")
    print(f"\n{result}", flush=True)
    result.to_csv(options.out / "race-gpu.csv")
    missed = [row.name.strip() for row in rows if not row.passed]
    print(f"\n{len(rows)} figures in {options.out}; bars missed: {', '.join(missed) or 'none'}")
    if failed:
        print(f"parts that failed: {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Bills of networks: time and memory of ``cost_table`` beside torchinfo and fvcore, if they are installed
(``pip install --no-deps -r tests/benchmarks/requirements.txt``).

Each measurement has a process of its own, so that what another one loaded or left behind does not count. "As
documented" builds the network on the CPU and runs it on random numbers, as the tools' own documentation shows. Ratios
are of one run.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable

from tests.benchmarks.rows import Row

NETWORKS = {"vgg16": 50, "densenet201": 600}  # name: milliseconds promised, from models.create to the table
WAYS = {
    "cost_table": None,
    "torchinfo as documented": "torchinfo",
    "fvcore as documented": "fvcore",
    "torchinfo on meta": "torchinfo",
}
REPEATS = 10  # of those that take less than a second


def ours(name: str) -> int:
    from cnnviz.measure import cost_table

    return cost_table(name).total.macs  # models.create on meta, and its table


def torchinfo_documented(name: str) -> int:
    import torchinfo

    from cnnviz import models

    return torchinfo.summary(models.create(name), input_size=(1, 3, 224, 224), verbose=0).total_mult_adds


def fvcore_documented(name: str) -> int:
    import torch
    from fvcore.nn import FlopCountAnalysis, flop_count_table

    from cnnviz import models

    flops = FlopCountAnalysis(models.create(name).eval(), torch.randn(1, 3, 224, 224))
    flops.unsupported_ops_warnings(False)
    flop_count_table(flops)
    return int(flops.total())


def torchinfo_on_meta(name: str) -> int:
    import torch
    import torchinfo

    from cnnviz import models

    with torch.device("meta"):
        net = models.create(name)
    return torchinfo.summary(net, input_size=(1, 3, 224, 224), device="meta", verbose=0).total_mult_adds


ACTS: dict[str, Callable[[str], int]] = {
    "cost_table": ours,
    "torchinfo as documented": torchinfo_documented,
    "fvcore as documented": fvcore_documented,
    "torchinfo on meta": torchinfo_on_meta,
}


def in_this_process(way: str, name: str, repeats: int) -> dict:
    """Milliseconds of the first and the fastest call, of processor time, MiB grown at most, MACs found."""
    import psutil

    from cnnviz import models

    models.names()  # importing torch and the families is nobody's merit
    act = ACTS[way]
    if way == "cost_table":
        import cnnviz.measure  # noqa: F401
    elif way.startswith("torchinfo"):
        import torchinfo  # noqa: F401
    else:
        import fvcore.nn  # noqa: F401
    gc.collect()  # what the imports left is nobody's either
    process = psutil.Process()
    before, times, work, macs = process.memory_info().rss, [], [], 0
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        macs = act(name)
        times.append(1000 * (time.perf_counter() - start))
        work.append(1000 * (time.process_time() - busy))
    peak = peak_bytes() if sys.platform == "linux" else process.memory_info().rss
    grown = max(0, peak - before) / 2**20
    shortest = {"first": times[0], "first_work": work[0], "best": min(times), "work": min(work)}
    return shortest | {"grown": grown, "macs": macs}


def peak_bytes() -> int:
    """The most memory that this process has had."""
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measured(way: str, name: str, repeats: int) -> dict:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.tables", way, name, str(repeats)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def measure(quick: bool = False) -> list[Row]:
    """Rows for each network and each tool that is installed."""
    rows: list[Row] = []
    for name, bar in NETWORKS.items():
        found = {}
        for way, library in WAYS.items():
            if library is None or importlib.util.find_spec(library):
                repeats = 2 if quick or "documented" in way else REPEATS
                found[way] = measured(way, name, repeats)
        for way, figures in found.items():
            own = way == "cost_table"
            promised = bar if own else None
            note = f"{figures['macs']:,} MACs; CPU {figures['work']:.0f} ms"
            rows.append(Row(f"{name}: {way}, built and counted", figures["best"], "ms", promised, note=note))
            note = f"CPU {figures['first_work']:.0f} ms"
            rows.append(Row("  the first one of a session", figures["first"], "ms", promised, note=note))
            rows.append(Row("  memory grown at its peak", figures["grown"], "MiB", 100 if own else None))
            if not own:
                ratio = figures["best"] / found["cost_table"]["best"]
                promise = 10 if "documented" in way else 0.5
                rows.append(Row(f"  {way}: times the time of cost_table", ratio, "x", promise, more=True))
    missing = {library for library in WAYS.values() if library and not importlib.util.find_spec(library)}
    if missing:
        rows.append(Row(f"not installed, so left out: {', '.join(sorted(missing))}", 0, ""))
    return rows


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(in_this_process(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    else:
        from tests.benchmarks.rows import machine, show

        print(machine())
        show("Bills of networks", measure("--quick" in sys.argv))

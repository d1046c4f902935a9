"""The benchmark of the moving kernel still measures; its times are what `python -m tests.benchmarks` prints."""

from tests.benchmarks import in_lab
from tests.browser.lab import LabPage


def test_the_benchmark_takes_its_samples(lab: LabPage) -> None:
    lab.page.evaluate(in_lab.PROBE)
    view = in_lab.shown(lab, in_lab.GRID)
    for act in (in_lab.keys(view.slider("kernel_size")), in_lab.drag(view, "kernel_size", (3, 4, 5))):
        samples = in_lab.collect(lab, act, 4)
        assert len(samples.total) == len(samples.work) == 4
        assert all(0 < work < total < 5000 for work, total in zip(samples.work, samples.total, strict=True))

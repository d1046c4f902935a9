"""Rules that make `pytest --nbval` on this folder honest: where plain nbval passes without looking, these fail.

nbval compares what a cell printed with what is stored in the notebook. Left alone it does not compare a cell that was
never run, ignores pictures, accepts a `raises-exception` cell that no longer raises, waits half an hour for a dead
kernel, and marks everything after a timeout as an expected failure.
"""

import base64
import io
import time
from queue import Empty

import nbval.kernel as nbval_kernel
import nbval.plugin as nbval
import pytest

CELL_TIMEOUT = 120  # seconds; nbval's own default is 2000
PICTURE_TOLERANCE = 0.01  # mean difference of two pictures' 48 x 48 thumbnails, of 1: fonts may differ, data may not
TRAINED = "trained-picture"  # a cell's tag: it shows what a training ended in, and processors round differently
TRAINED_TOLERANCE = 0.15  # its pictures were 0.03 to 0.10 apart between two makes of processor, blank ones 0.17 or more

# Run in each notebook's kernel before its first cell: a warning is a failure, except for two kinds that are nobody's
# fault here: files and sockets that the kernel's own machinery leaves to the garbage collector.
WARNINGS_ARE_ERRORS = """
import warnings
warnings.simplefilter("error")
warnings.simplefilter("ignore", ResourceWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ipykernel|jupyter_client|tornado|zmq|asyncio")
del warnings
"""


def pytest_configure(config: pytest.Config) -> None:
    """Wait for a cell two minutes at most, unless the command line says otherwise."""
    if getattr(config.option, "nbval_cell_timeout", None) == 2000:
        config.option.nbval_cell_timeout = CELL_TIMEOUT


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):  # noqa: ANN201 (a hook wrapper is a generator)
    """Turn warnings into errors in a notebook's kernel before its first cell."""
    result = yield
    if isinstance(item, nbval.IPyNbCell) and not hasattr(item.parent, "prepared"):
        item.parent.prepared = True
        kernel = item.parent.kernel
        kernel.await_idle(kernel.kc.execute(WARNINGS_ARE_ERRORS, silent=True), 30)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):  # noqa: ANN201
    """Fail a cell that was never run, and one that is expected to raise and does not."""
    if not isinstance(item, nbval.IPyNbCell):
        return (yield)
    if item.cell.execution_count is None:
        item.raise_cell_error("the stored cell was never run (no execution count): regenerate the notebook")
    result = yield
    raised = any(output.output_type == "error" for output in item.test_outputs)
    if item.options["check_exception"] and not item.options["skip"] and not raised:
        item.raise_cell_error("the cell is tagged raises-exception, but raised nothing")
    return result


def await_reply_of_the_living(self: "nbval_kernel.RunningKernel", msg_id: str, timeout: float | None = None) -> None:
    """As nbval's, but gives up as soon as the kernel has died, and counts the timeout from the start of the cell."""
    end = time.monotonic() + (timeout or CELL_TIMEOUT)
    while True:
        try:
            message = self.get_message("shell", timeout=1)
        except Empty:
            if not self.is_alive():
                raise RuntimeError("the kernel died while it ran this cell") from None
            if time.monotonic() > end:
                raise
            continue
        if message["parent_header"].get("msg_id") == msg_id:
            return


def compare_without_stderr(self: "nbval.IPyNbCell", test: list, ref: list, skip_compare: tuple | None = None) -> bool:
    """As nbval's, without what went to stderr (warnings raise, see above) and with a look at the pictures."""
    test, ref = ([output for output in outputs if output.get("name") != "stderr"] for outputs in (test, ref))
    if not compare_as_nbval(self, test, ref, skip_compare):
        return False
    trained = TRAINED in self.cell.metadata.get("tags", [])
    self.comparison_traceback = picture_differences(test, ref, TRAINED_TOLERANCE if trained else PICTURE_TOLERANCE)
    return not self.comparison_traceback


def picture_differences(test: list, ref: list, tolerance: float) -> list[str]:
    """Compare the PNG pictures of `test` with those of `ref` that have no SVG beside them; returns what is wrong."""
    wrong = []
    drawn = [output.data for output in test if "data" in output]
    stored = [output.data for output in ref if "data" in output]
    for number, (new, old) in enumerate(zip(drawn, stored, strict=True)):
        if "image/png" not in old or "image/svg+xml" in old:
            continue
        if "image/png" not in new:
            wrong.append(f"output {number} has no picture any more")
        elif (distance := picture_distance(new["image/png"], old["image/png"])) > tolerance:
            wrong.append(f"the picture of output {number} differs by {distance:.3f} (tolerance {tolerance})")
    return wrong


def picture_distance(one: str, other: str) -> float:
    """Mean absolute difference of two base64 PNGs, as small thumbnails, between 0 and 1; 1 for another shape."""
    import numpy as np
    from PIL import Image

    pictures = [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in (one, other)]
    if any(abs(a - b) > 0.05 * b for a, b in zip(*(picture.size for picture in pictures), strict=True)):
        return 1.0
    small = [np.asarray(picture.resize((48, 48)), dtype=float) / 255 for picture in pictures]
    return float(np.abs(small[0] - small[1]).mean())


compare_as_nbval = nbval.IPyNbCell.compare_outputs
nbval.IPyNbCell.compare_outputs = compare_without_stderr
nbval.IPyNbCell.setup = lambda self: None  # nbval's marks every cell after a timeout as an expected failure
nbval_kernel.RunningKernel.await_reply = await_reply_of_the_living

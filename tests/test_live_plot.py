"""The live view in Python: what is sent, thinned, kept, and what its controls do. Its page: browser/test_live_plot."""

import base64
import gc
import json
import re
import threading
import weakref

import numpy as np
import pytest
from torch import nn

from cnnviz.history import History, Record, Step
from cnnviz.training import fit
from cnnviz.widgets import _heartbeat, _notebook
from cnnviz.widgets.live_plot import LivePlot, compare_runs, live_plot
from cnnviz.widgets.live_plot.tracks import POINTS, Curve, packed
from tests.small_runs import DIGITS


class FakeRun:
    """Trains nothing: `advance` appends steps whose loss falls as 1 / step, with a test at the end of each epoch."""

    def __init__(self, epochs=4, size=5, label="", lr=0.1, layers=("conv1", "fc")):
        self.history, self.epochs, self.steps, self.size = History(), epochs, epochs * size, size
        self.label, self.lr, self.layers = label, lr, layers
        self.state, self.error, self.asked = "running", None, []

    def advance(self, steps=1):
        for _ in range(steps):
            n = len(self.history.steps) + 1
            epoch = (n - 1) // self.size + 1
            norms = {layer: 0.1**depth for depth, layer in enumerate(self.layers)}
            self.history.add_step(Step(n, epoch, 1 / n, 1 - 1 / n, self.lr, 0.1 * n, 640), norms)
            if n % self.size == 0:
                self.history.add_epoch(Record(epoch, 1 / n, 0.5, 2 / n, 1 - 2 / n, self.lr, 0.1 * n))
        if len(self.history.steps) >= self.steps:
            self.state = "finished"
        return self

    def stop(self):
        self.asked.append("stop")
        self.state = "stopped"

    def pause(self):
        self.asked.append("pause")
        self.state = "paused"

    def resume(self):
        self.asked.append("resume")
        self.state = "running"

    def show(self):
        from cnnviz.widgets.live_plot import LivePlot

        return LivePlot(self)


class Page:
    """What a view would know: takes a plot's messages as store.js does."""

    def __init__(self, plot):
        self.plot, self.tracks, self.messages, self.bytes = plot, [], [], 0
        plot.send = self.take

    def take(self, content, buffers=()):
        self.messages.append(content)
        if content["kind"] not in ("whole", "more"):
            return
        if content["kind"] == "whole":
            self.tracks = [{"train": [[], []], "test": [[], []], "shots": []} for _ in content["tracks"]]
        points = np.frombuffer(buffers[0], "<f4").tolist()
        self.bytes += sum(map(len, buffers))
        for track, news in zip(self.tracks, content["tracks"], strict=True):
            if news is None:
                continue
            track |= {name: value for name, value in news.items() if name not in ("curves", "norms", "shots")}
            for name, (first, count, start, spacing) in zip(("train", "test"), news["curves"], strict=True):
                assert first <= len(track[name][0])
                track[f"{name}_x"] = start, spacing
                for column in track[name]:
                    column[first:] = [points.pop(0) for _ in range(count)]
            track["norms"] = [points.pop(0) for _ in range(news["norms"])] or track.get("norms")
            track["shots"] += news.get("shots", [])
        assert points == []

    def hello(self):
        self.plot._told(self.plot, {"kind": "hello"}, [])
        return self


def opened(source):
    plot = LivePlot(source)
    return plot, Page(plot).hello()


# ---- what is sent --------------------------------------------------------------------------------------------------


def test_increments_add_up_to_the_whole_history():
    run = FakeRun()
    plot, page = opened(run)
    for _ in range(10):
        run.advance(2)
        plot._flush()
    assert [content["kind"] for content in page.messages] == ["whole", *["more"] * 10]
    (track,) = page.tracks
    np.testing.assert_allclose(track["train"][0], run.history.series("loss"), rtol=1e-6)
    np.testing.assert_allclose(track["train"][1], run.history.series("accuracy"), rtol=1e-6)
    np.testing.assert_allclose(track["test"][0], run.history.series("test_loss"), rtol=1e-6)
    assert track["train_x"] == (0, 1 / 5)  # in epochs
    assert track["norms"] == pytest.approx([1, 0.1])
    assert track["layers"] == ["conv1", "fc"]
    assert (track["state"], page.messages[-1]["last"]) == ("finished", True)
    late = opened(run)[1].tracks
    assert late == page.tracks  # a second plot, opened at the end
    assert Page(plot).hello().tracks == page.tracks  # a second view of this one


def test_only_what_is_new_is_sent():
    run = FakeRun(epochs=400)
    plot, page = opened(run.advance(1000))
    page.bytes = 0
    run.advance(4)
    plot._flush()
    assert page.bytes <= 8 * 4 + 2 * 4 + 8
    assert set(page.messages[-1]["tracks"][0]) == {"step", "left", "curves", "norms"}
    count = len(page.messages)
    plot._flush()
    assert len(page.messages) == count  # nothing new, nothing sent
    run.lr = 0.3
    plot._flush()
    assert page.tracks[0]["lr"] == 0.3


@pytest.mark.parametrize("planned", [23, 399, 401, 5000, 123_457])
def test_a_curve_has_at_most_400_points_and_they_are_means(planned):
    values = np.random.default_rng(planned).random(min(planned, 6000))
    curve = Curve(0, 1, planned)
    for value in values:
        curve.add(value, -value)
    (_, count, _, spacing), points = curve.news(last=True)
    assert count == len(points) <= POINTS
    per = int(spacing)
    expected = [values[at : at + per].mean() for at in range(0, len(values), per)]
    np.testing.assert_allclose(np.array(points), np.stack([expected, -np.array(expected)], 1))


def test_a_run_longer_than_planned_is_thinned_on_the_way_and_the_view_follows():
    run = FakeRun(epochs=1)
    plot, page = opened(run)
    for _ in range(300):
        run.advance(5)
        plot._flush()
    (track,) = page.tracks
    assert len(track["train"][0]) <= POINTS
    per = round(track["train_x"][1] * 5)
    losses = run.history.series("loss")
    expected = [losses[at : at + per].mean() for at in range(0, len(losses), per)]
    np.testing.assert_allclose(track["train"][0], expected, rtol=1e-6)
    assert track == opened(run)[1].tracks[0]


def test_more_epochs_than_planned_change_the_scale_at_once():
    run = FakeRun().advance(20)
    plot, page = opened(run)
    run.epochs, run.steps, run.state = 2000, 10_000, "running"  # what `more` does
    run.advance(40)
    plot._flush()
    assert page.tracks == opened(run)[1].tracks
    assert page.tracks[0]["steps"] == 10_000
    assert page.tracks[0]["train_x"][1] == 32 / 5


def test_what_could_not_be_measured_is_a_gap():
    run = FakeRun()
    run.history.add_epoch(Record(1, 0.5, 0.5, float("nan"), float("nan"), 0.1, 1))
    assert np.isnan(opened(run)[1].tracks[0]["test"]).all()


def test_two_hundred_updates_of_four_curves_are_small():
    run = FakeRun(epochs=40, size=25)
    plot, page = opened(run)
    for _ in range(200):
        run.advance(5)
        plot._flush()
    words = sum(len(repr(content)) for content in page.messages)
    assert page.bytes + words < 60_000  # Jupyter's own envelopes and the view's code: in the benchmark


def test_the_last_news_are_sent_again_until_the_view_has_answered(monkeypatch):
    clock = threading.Semaphore(0)
    monkeypatch.setattr(live_plot.time, "sleep", lambda seconds: clock.acquire(timeout=20))
    plot, page = opened(FakeRun().advance(20))
    _ = plot.model_id  # as if it were on a page
    thread = threading.Thread(target=plot._publish, daemon=True)
    thread.start()
    for _ in range(6):
        clock.release()
    until(lambda: clock._value == 0)
    assert [content["kind"] for content in page.messages] == ["whole"] * 4  # the first, and three more
    plot.close()
    clock.release()
    thread.join(20)
    assert not thread.is_alive()


def until(condition, seconds=20):
    pause = threading.Event()
    for _ in range(int(seconds * 100)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


# ---- snapshots -----------------------------------------------------------------------------------------------------


def test_snapshots_are_sent_once_as_bytes():
    run = FakeRun()
    plot, page = opened(run)
    for epoch in (1, 2):
        run.history.snapshots.append((epoch, {"filters": np.eye(5)[None, None] * epoch, "maps": np.ones((20, 40, 40))}))
        plot._flush()
    assert [shot["epoch"] for shot in page.tracks[0]["shots"]] == [1, 2]
    assert Page(plot).hello().tracks == page.tracks
    assert page.tracks[0]["shots"][1] == {"epoch": 2, "filters": [1, 5, 5, 1], "maps": [12, 20, 20], "scale": 2.0}


def test_a_snapshots_bytes_are_its_pixels():
    rng = np.random.default_rng(0)
    filters, maps = rng.normal(size=(4, 3, 5, 5)), rng.random((4, 9, 9))
    shape, pixels = packed(3, {"filters": filters, "maps": maps})
    read = np.frombuffer(pixels, np.uint8).astype(float)
    sizes = [np.prod(shape[name]) for name in ("filters", "maps")]
    shown = (read[: sizes[0]].reshape(shape["filters"]) - 128) / 127 * shape["scale"]
    np.testing.assert_allclose(shown.transpose(0, 3, 1, 2), filters, atol=shape["scale"] / 127)
    np.testing.assert_allclose(read[sizes[0] :].reshape(4, 9, 9) / 255 * np.ptp(maps) + maps.min(), maps, atol=0.01)


@pytest.mark.parametrize(("asked", "words"), [
    (True, "filters of the first layer"),
    ("3", "filters of 3, the first of 4 channels"),
])  # fmt: skip
def test_filters_are_called_by_the_layer_that_they_are_of(tmp_path, asked, words):
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5, 10)
    )
    run = fit(network, DIGITS, epochs=1, snapshots=asked)
    assert run.result().snapshots[0][1]["filters"].shape[1] == (1 if asked is True else 4)
    plot, page = opened(run)
    assert page.tracks[0]["filters"] == words
    assert f"{words}, epoch 1" in plot.save(tmp_path / "run.html").read_text()


def test_dead_maps_and_zero_filters_are_pictures_too():
    shape, pixels = packed(1, {"filters": np.zeros((2, 1, 3, 3)), "maps": np.zeros((2, 4, 4))})
    assert set(pixels) == {128, 0}
    assert shape["scale"] == 1


# ---- controls ------------------------------------------------------------------------------------------------------


def test_the_controls_reach_the_run():
    run = FakeRun()
    plot, page = opened(run)
    for message in ({"kind": "lr", "value": 0.02}, {"kind": "pause"}, {"kind": "resume"}, {"kind": "stop"}):
        plot._told(plot, message, [])
    assert (run.asked, run.lr) == (["pause", "resume", "stop"], 0.02)
    assert (page.tracks[0]["state"], page.tracks[0]["lr"]) == ("stopped", 0.02)
    plot._told(plot, {"kind": "resume"}, [])
    assert run.asked[-1] == "stop"  # what has ended is left alone


def test_a_refusal_is_told_to_the_view():
    class Picky(FakeRun):
        lr = property(lambda self: 0.1, lambda self, value: [][value] if value else None)

    plot, page = opened(Picky(lr=0))
    plot._told(plot, {"kind": "lr", "value": "x"}, [])
    assert page.messages[-1]["kind"] == "refused"
    assert "could not convert" in page.messages[-1]["message"]


def test_the_reason_of_a_failure_is_sent():
    run = FakeRun().advance(3)
    run.state, run.error = "failed", MemoryError()
    assert opened(run)[1].tracks[0]["error"] == "MemoryError"
    run.error = ValueError("the loss is not finite at step 3")
    assert opened(run)[1].tracks[0]["error"] == "the loss is not finite at step 3"


# ---- several runs, histories ---------------------------------------------------------------------------------------


def test_several_runs_on_one_plot_are_stopped_together_but_not_by_closing():
    runs = {"plain": FakeRun(), "residual": FakeRun(epochs=6)}
    plot = compare_runs(runs)
    page = Page(plot).hello()
    runs["residual"].advance(3)
    plot._flush()
    assert page.messages[-1]["tracks"][0] is None  # no news from this one
    assert [track["name"] for track in page.tracks] == ["plain", "residual"]
    assert repr(plot) == "LivePlot of plain: 4 epochs; residual: 6 epochs"
    plot._told(plot, {"kind": "stop"}, [])
    assert [run.state for run in runs.values()] == ["stopped"] * 2


def test_a_recorded_run_is_shown_whole(tmp_path):
    run = FakeRun().advance(20)
    run.history.to_csv(tmp_path / "run.csv")
    plot, page = opened(History.from_csv(tmp_path / "run.csv"))
    assert page.tracks[0]["state"] == "recorded"
    assert page.tracks[0]["train"] == opened(run)[1].tracks[0]["train"]
    assert page.tracks[0]["norms"] == pytest.approx([1, 0.1])
    assert page.messages[-1]["last"]
    assert repr(plot) == "LivePlot of recorded run: 4 epochs"


def test_a_history_of_epochs_alone_has_its_training_curve():
    history = History()
    for epoch in (1, 2):
        history.add_epoch(Record(epoch, 1 / epoch, 0.5, 2 / epoch, 0.4, 0.1, 1))
    track = opened(history)[1].tracks[0]
    assert track["train"] == [[1, 0.5], [0.5, 0.5]]
    assert track["train_x"] == (0, 1)  # the mean over an epoch stands in its middle


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: compare_runs([FakeRun()]), TypeError, "is not a mapping of names to runs"),
        (lambda: compare_runs({}), ValueError, "0 runs do not fit into one plot: give 1 to 6"),
        (lambda: compare_runs(dict.fromkeys("abcdefg", FakeRun())), ValueError, "7 runs"),
        (lambda: compare_runs({"plain": 3}), TypeError, 'run "plain": 3 is neither a Run nor a History'),
        (lambda: compare_runs({"a": History}), TypeError, "is neither a Run nor a History"),
        (lambda: LivePlot(None), TypeError, "None is neither a Run nor a History"),
        (lambda: LivePlot(FakeRun()).save("x.png"), ValueError, "use .html"),
    ],
)
def test_what_cannot_be_shown_is_refused(make, error, words):
    with pytest.raises(error) as refusal:
        make()
    assert words in str(refusal.value)


# ---- its life ------------------------------------------------------------------------------------------------------


class FakeKernel:
    """A kernel in which cells run one after the other."""

    def __init__(self):
        self.shell, self.events, self.after, self.number = self, self, None, 0

    def register(self, _, after):
        self.after = after

    def get_parent(self):
        return {"metadata": {"cellId": self.cell}, "header": {"msg_id": str(self.number)}}

    def run(self, cell, *shown):
        self.cell, self.number = cell, self.number + 1
        for plot in shown:
            plot._repr_mimebundle_()
        if self.after:
            self.after()


@pytest.fixture
def kernel(monkeypatch):
    kernel = FakeKernel()
    monkeypatch.setattr(_heartbeat, "running_kernel", lambda: kernel)
    monkeypatch.setattr(_heartbeat, "start", lambda widget: None)
    monkeypatch.setattr(_notebook, "_watched", None)
    monkeypatch.setattr(live_plot, "_cells", {})
    monkeypatch.setattr(LivePlot, "_publish", lambda self: None)
    yield kernel
    for plot in list(live_plot._open):
        plot.close()


def test_the_text_of_a_cell_does_not_depend_on_time(kernel):
    run = FakeRun(label="lr=0.5")
    plot = run.show()
    texts = set()
    for _ in range(3):
        kernel.cell = "a"
        texts.add(plot._repr_mimebundle_()[0]["text/plain"])
        run.advance(10)
        plot._flush()
    assert texts == {"LivePlot of lr=0.5: 4 epochs"}
    assert set(plot._repr_mimebundle_()[0]) == {"text/plain", "application/vnd.jupyter.widget-view+json"}


def test_running_the_cell_again_ends_the_old_run_and_leaves_its_ghost(kernel):
    old, new = FakeRun(label="lr=0.1").advance(7), FakeRun(label="lr=1")
    first, second = old.show(), new.show()
    kernel.run("a", first)
    assert old.state == "running"
    kernel.run("a", second)
    assert (old.state, first.comm, first.runs) == ("stopped", None, [])
    assert new.state == "running"
    ghost, own = Page(second).hello().tracks
    assert (ghost["name"], ghost["state"], own["name"]) == ("lr=0.1", "earlier", "lr=1")
    assert len(ghost["train"][0]) == 7


def test_at_most_four_ghosts_stay_and_each_in_its_own_place(kernel):
    for lr in range(7):
        kernel.run("a", *(plots := [FakeRun(label=f"{name}{lr}").advance(5).show() for name in "xy"]))
    for plot, name in zip(plots, "xy", strict=True):
        names = [track["name"] for track in Page(plot).hello().tracks]
        assert names == [f"{name}{lr}" for lr in (2, 3, 4, 5, 6)]


def test_a_run_shown_in_two_cells_goes_on_when_one_of_them_shows_something_else(kernel):
    run = FakeRun()
    kernel.run("a", run.show())
    kernel.run("b", run.show())
    kernel.run("b")
    assert run.state == "running"
    kernel.run("a")
    assert run.state == "stopped"


def test_the_same_run_shown_again_by_its_cell_goes_on_without_a_ghost(kernel):
    run = FakeRun()
    kernel.run("a", run.show())
    plot = run.show()
    kernel.run("a", plot)
    assert run.state == "running"
    assert len(Page(plot).hello().tracks) == 1


def test_a_plot_shown_in_two_cells_outlives_one_of_them(kernel):
    run = FakeRun()
    plot = run.show()
    kernel.run("a", plot)
    kernel.run("b", plot)
    other = FakeRun().show()
    kernel.run("a", other)
    assert run.state == "running"
    assert len(Page(other).hello().tracks) == 1


def test_runs_that_were_compared_go_on_when_the_comparison_is_closed(kernel):
    runs = {"one": FakeRun(), "two": FakeRun()}
    plot = compare_runs(runs)
    kernel.run("a", plot)
    plot.close()
    assert [run.state for run in runs.values()] == ["running"] * 2


def test_a_plot_that_nobody_saw_leaves_its_run_alone(kernel):
    run = FakeRun()
    plot = run.show()
    plot.close()
    assert run.state == "running"


def test_a_closed_plot_holds_no_run(kernel):
    run = FakeRun().advance(5)
    plot = run.show()
    kernel.run("a", plot)
    kernel.run("a")
    gone = weakref.ref(run)
    del run
    gc.collect()
    assert gone() is None
    assert len(Page(plot).hello().tracks[0]["train"][0]) == 5  # shown once more it has its curves


def test_a_saved_page_holds_the_whole_run_and_its_first_and_last_filters(tmp_path):
    run = FakeRun().advance(7)
    for epoch, size in ((0, 1.0), (1, 2.0)):
        maps = {"filters": size * np.ones((3, 1, 2, 2), "f"), "maps": np.eye(4, dtype="f")[None]}
        run.history.snapshots.append((epoch, maps))
    plot = LivePlot(run)
    text = plot.save(tmp_path / "run.html").read_text()
    state = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.S)[1])["_recorded"]
    page = Page(plot)
    page.take(state["content"], [base64.b64decode(part) for part in state["buffers"]])
    (track,) = page.tracks
    np.testing.assert_allclose(track["train"][0], run.history.series("loss"), rtol=1e-6)
    assert (track["state"], [shot["epoch"] for shot in track["shots"]]) == ("recorded", [0, 1])
    assert text.count("<image ") == 6  # what is there without a script
    assert "filters of the first layer, epoch 1" in text
    plot._let_go()  # as when its cell is run again
    with pytest.raises(ValueError, match="the plot was closed"):
        plot.save(tmp_path / "run.html")

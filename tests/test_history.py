"""A History is appended to by one thread while others read, and survives as a file and as a chart."""

import copy
import math
import pickle
import threading

import numpy as np
import pytest

from cnnviz.history import History, Record, Step


def step(number, epoch=1, loss=1.0):
    return Step(number, epoch, loss, 0.5, 0.1, number / 100, 6400.0)


def record(epoch, accuracy=0.75):
    return Record(epoch, 0.9, 0.7, 0.8, accuracy, 0.1, epoch / 10)


@pytest.fixture
def history():
    made = History()
    for epoch in (1, 2):
        for number in range(1, 4):
            made.add_step(step(3 * (epoch - 1) + number, epoch, 1 / number), {"conv": 0.25 * number, "fc": 2.0})
        made.add_epoch(record(epoch, 0.5 + epoch / 10))
    return made


def test_rows_come_back_as_they_went_in(history):
    assert history.steps[0] == step(1)
    assert history.steps[-1] == step(6, 2, 1 / 3)
    assert history.epochs[1] == record(2, 0.7)
    assert list(history.epochs) == [record(1, 0.6), record(2, 0.7)]
    assert type(history.steps[0].step) is type(history.epochs[0].epoch) is int
    assert history.series("loss").tolist() == [1, 1 / 2, 1 / 3] * 2
    assert history.series("test_accuracy").tolist() == [0.6, 0.7]
    assert history.gradient_norms["conv"].tolist() == [0.25, 0.5, 0.75] * 2
    with pytest.raises(IndexError):
        history.steps[6]
    with pytest.raises(ValueError, match="no series 'err': use one of step, epoch, loss"):
        history.series("err")


def test_news_are_what_lies_behind_the_cursors(history):
    news = history.since(4, 1)
    assert [row.step for row in news.steps] == [5, 6]
    assert [row.epoch for row in news.epochs] == [2]
    assert news.gradient_norms["conv"].tolist() == [0.5, 0.75]
    assert history.since(6, 2).steps == history.since(6, 2).epochs == []


def test_a_copy_that_somebody_keeps_does_not_hinder_the_trainer(history):
    held = [np.asarray(history.series("loss")), history.gradient_norms, history.since(0, 0)]
    for number in range(7, 1000):
        history.add_step(step(number), {"conv": 1.0, "fc": 1.0})
    assert len(held[0]) == len(held[1]["fc"]) == 6


def test_readers_never_see_half_a_row():
    history, wrong = History(), []

    def read():
        seen = 0
        while seen < 3000:
            history.wait(seen, 0, timeout=60)
            news = history.since(seen, 0)
            wrong.extend(row for row in news.steps if row != step(row.step))
            wrong.extend(1 for norm in news.gradient_norms.values() if len(norm) != len(news.steps))
            seen += len(news.steps)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 3001):
        history.add_step(step(number), {"conv": 1.0})
    for reader in readers:
        reader.join(120)
        assert not reader.is_alive()
    assert not wrong


def test_wait_says_whether_there_is_something_newer(history):
    assert history.wait(5, 2, timeout=0)
    assert history.wait(6, 1, timeout=0)
    assert not history.wait(6, 2, timeout=0.01)


def test_csv_there_and_back(history, tmp_path):
    history.add_step(step(7, 3, math.inf), {"conv": 1.0, "fc": 1.0})
    history.to_csv(tmp_path / "run.csv")
    again = History.from_csv(tmp_path / "run.csv")
    assert list(again.steps) == list(history.steps)
    assert list(again.epochs) == list(history.epochs)
    assert {name: norms.tolist() for name, norms in again.gradient_norms.items()} == {
        name: norms.tolist() for name, norms in history.gradient_norms.items()
    }


def test_a_file_that_is_no_history_is_refused(tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("name,age\nAda,36\n")
    with pytest.raises(ValueError, match=r"other.csv' is not a history: it has no column 'accuracy'"):
        History.from_csv(file)
    History().to_csv(file)
    head = file.read_text()
    for row in (
        "1,1,much",
        "nan,1,1,1,1,1,1",
        "inf,1,1,1,1,1,1",
        "1,-5,1,1,1,1,1",
        "1,1e12,1,1,1,1,1",
        "1" + ",1" * 20,
    ):
        file.write_text(f"{head}{row}\n")
        with pytest.raises(ValueError, match=r"other.csv', line 2: "):
            History.from_csv(file)


def test_charts_hold_the_numbers(history):
    figure, chart = history.plot(), history.figure()
    loss, accuracy = figure.axes
    assert [line.get_label() for line in loss.lines] == ["batches", "training", "test"]
    assert loss.lines[0].get_ydata().tolist() == history.series("loss").tolist()
    assert accuracy.lines[2].get_xydata().tolist() == [[1, 0.6], [2, 0.7]]
    assert np.allclose(loss.lines[0].get_xdata(), np.arange(1, 7) / 3)  # three steps an epoch
    assert [(trace.name, len(trace.y)) for trace in chart.data][:2] == [("batches", 6), ("training", 2)]
    assert [trace.line.color for trace in chart.data[:3]] == [trace.line.color for trace in chart.data[3:]]
    assert History().plot().axes
    assert History().figure().data


def test_a_spreadsheets_mark_in_front_does_no_harm(history, tmp_path):
    history.to_csv(tmp_path / "run.csv")
    (tmp_path / "again.csv").write_text("\ufeff" + (tmp_path / "run.csv").read_text(), encoding="utf-8")
    assert list(History.from_csv(tmp_path / "again.csv").steps) == list(history.steps)


def test_the_axis_counts_planned_epochs_even_in_the_first():
    history = History()
    history.steps_per_epoch = 32
    for number in range(1, 7):
        history.add_step(step(number))
    assert history.plot().axes[0].lines[0].get_xdata()[-1] == 6 / 32


def test_a_history_can_be_copied_and_sent_to_another_process(history):
    for twin in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        twin.add_step(step(7), {"conv": 1.0, "fc": 1.0})
        assert len(twin.steps) == len(history.steps) + 1
        assert twin.epochs[1] == history.epochs[1]


def test_one_plain_sentence(history):
    assert repr(history) == "2 epochs so far, 6 steps: 70 % of the test pictures right."
    history.ending = "Stopped."
    assert repr(history) == "Stopped."

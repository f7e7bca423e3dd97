import torch

from torchstone.training import History
from torchstone.training.history import Recorder


def row(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_values_come_out_in_order_however_often_they_are_fetched():
    recorder = Recorder()
    for step in range(1203):
        recorder.add(row(loss=step))
        if step % 97 == 0:
            recorder.history()
    history = recorder.history()
    assert torch.equal(history.metrics["loss"], torch.arange(1203.0, dtype=torch.float64))
    assert torch.equal(history.steps, torch.arange(1203))
    assert history.final == {"loss": 1202.0}


def test_a_metric_that_comes_and_goes_is_nan_where_it_was_not():
    recorder = Recorder()
    recorder.add(row(loss=1.0))
    recorder.history()
    recorder.add(row(loss=2.0, extra=5.0))
    recorder.add(row(extra=6.0))
    metrics = recorder.history().metrics
    nan = torch.nan
    expected = {"loss": [1.0, 2.0, nan], "extra": [nan, 5.0, 6.0]}
    for name, values in expected.items():
        torch.testing.assert_close(
            metrics[name], torch.tensor(values, dtype=torch.float64), equal_nan=True, rtol=0, atol=0
        )


def test_a_history_does_not_change_when_more_is_recorded():
    recorder = Recorder()
    recorder.add(row(loss=1.0))
    history = recorder.history()
    recorder.add(row(loss=2.0))
    recorder.history()
    assert history.final == {"loss": 1.0}


def test_an_empty_history():
    assert len(History({}).steps) == 0
    assert History({}).final == {}

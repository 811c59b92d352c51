"""The example observers run, only observe, and say what they should."""

import re
import runpy
from pathlib import Path

import pytest

from postel import Host
from postel.testing import check_observer

EXAMPLES = Path(__file__).parents[2] / "examples"
LINE = re.compile(r'# TYPE postel_[a-z_]+ (counter|gauge)|postel_[a-z_]+(\{reason="[a-z_]+"\})? \d+')


def test_the_observer_tells_of_both_ends(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "observer.py"), run_name="__main__")
    near, far = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"10.0.0.1:\d+ to 10.0.0.2:80: open after 0.02, ended after 5.00, [1-9]\d* again", near
    )
    assert far.endswith("ended after 5.00, 0 again")


def test_the_observer_only_observes() -> None:
    check_observer(runpy.run_path(str(EXAMPLES / "observer.py"))["Lives"])


def test_the_metrics_are_in_prometheus_format(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "metrics.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert "postel_segments_arrived_total 3" in lines
    assert 'postel_dropped_packets_total{reason="no_connection"} 1' in lines


def test_every_gauge_is_a_figure_of_a_host() -> None:
    gauges = runpy.run_path(str(EXAMPLES / "metrics.py"))["GAUGES"]
    assert set(gauges) <= set(Host("10.0.0.1/24", secret=b"s").statistics())

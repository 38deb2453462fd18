"""A Collector takes collector-config.yaml without a word, in each variant that it offers."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gentrace.core import names, profile
from gentrace.core.scrub import allowed as passing
from tests.support import collector_files
from tools import servers
from tools.services import TOOLS

CONFIG = servers.COLLECTOR_CONFIG
TEXT = CONFIG.read_text(encoding="utf-8")


def with_tail_sampling() -> str:
    """The variant that its comment describes."""
    return re.sub(r"(?m)^( *)#~ ", r"\1", TEXT.replace("      processors: []\n", ""))


def validate(config: Path) -> subprocess.CompletedProcess[str]:
    """What the Collector says of a configuration."""
    command = [str(servers.find("collector")), "validate", f"--config={config}"]
    return subprocess.run(
        command, cwd=config.parent, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.service("collector")
@pytest.mark.parametrize("text", [TEXT, with_tail_sampling()], ids=["as it is", "tail sampling"])
def test_it_is_valid(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    done = validate(config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.service("collector")
def test_a_key_that_it_does_not_know_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(TEXT.replace("check_interval: 1s\n", "check_interval: 1s\n    often: 1s\n"))
    done = validate(config)
    assert done.returncode == 1
    assert "often" in done.stderr


@pytest.mark.service("collector")
@pytest.mark.parametrize("text", [TEXT, with_tail_sampling()], ids=["as it is", "tail sampling"])
def test_it_starts_without_a_warning(
    jaeger_server: servers.JaegerServer,
    anything_failed: Callable[[], bool],
    tmp_path: Path,
    text: str,
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    with servers.collector(anything_failed, jaeger=jaeger_server, config=config) as collector:
        assert collector_files.troubles(collector.log) == []
        assert "deprecated" not in collector.log.read_text().lower()
        assert httpx.get(collector.health, trust_env=False).status_code == 200
        own = {sample.name for sample in collector_files.metrics(collector.telemetry)}
    assert "otelcol_exporter_queue_capacity" in own


@pytest.mark.service("collector")
@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("otlp_grpc/jaeger", "otlp/jaeger"),
        ("span_metrics", "spanmetrics"),
        ("    aggregation_cardinality_limit: 1000", "    dimensions_cache_size: 1000"),
    ],
)
def test_a_deprecated_name_would_be_seen(
    jaeger_server: servers.JaegerServer, tmp_path: Path, now: str, before: str
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(TEXT.replace(now, before))
    with servers.collector(jaeger=jaeger_server, config=config) as collector:
        assert "deprecated" in "".join(collector_files.troubles(collector.log)).lower()


def test_it_lets_pass_what_gentrace_sends() -> None:
    listed = TEXT.partition("allowed_keys:\n      [\n")[2].partition("]")[0]
    keys = {key for line in listed.splitlines() for key in line.partition("#")[0].split(", ")}
    allowed = {key.strip(" ,") for key in keys}
    known = passing.CONVENTIONS | passing.URLS | passing.SQL | {"exception.message"}
    fields = {field for event in profile.load("pixsim7")[0].log_events for field in event.fields}
    assert (names.ATTRIBUTES.keys() | known | fields) - allowed == set()


def test_every_block_says_why() -> None:
    lines, silent = TEXT.splitlines(), list[str]()
    within_pipelines = False
    for above, line in itertools.pairwise(lines):
        if re.match(r" {0,2}\w", line):
            within_pipelines = line == "  pipelines:"
        is_block = re.match(r"  \w[\w/]*:" if not within_pipelines else r" {2,4}\w[\w/]*:", line)
        if is_block and not above.lstrip().startswith("#"):
            silent.append(line.strip())
    assert silent == []


def test_the_collector_is_built_of_what_its_list_names() -> None:
    folder = TOOLS / "collector"
    listed = re.findall(r"- gomod: (\S+ v\S+)", (folder / "builder-config.yaml").read_text())
    required = (folder / "go.mod").read_text()
    compiled = (folder / "components.go").read_text() + (folder / "main.go").read_text()
    assert len(listed) > 10
    for module in listed:
        assert f"\t{module}\n" in required
        assert f'"{module.split()[0]}"' in compiled

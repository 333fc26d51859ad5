"""Engines, clients and tables for every test that needs a DynamoDB.

The caller's own AWS and Temporal settings are removed before anything is imported that could read them: no test
ever reaches an account.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import os
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

for _name in [name for name in os.environ if name.startswith(("AWS_", "TEMPORAL_", "REINDEXER_"))]:
    if _name != "REINDEXER_CACHE":  # where binaries were built or fetched to; it reaches no account
        del os.environ[_name]
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it; without a terminal, commands have a width of their own
FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "fake",
    "AWS_SECRET_ACCESS_KEY": "fake",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",  # the discard port: no one answers there
    "NO_PROXY": "127.0.0.1,localhost",
}
os.environ.update(FAKE_AWS)

from reindexer.connect import SEARCH_ATTRIBUTES  # noqa: E402
from reindexer.dynamo.client import make_client  # noqa: E402
from reindexer.ledger import Ledger  # noqa: E402
from testbed.embedded import (  # noqa: E402 – once they are gone
    Engine,
    TemporalServer,
    available_engines,
    dynamodb_engine,
    temporal_server,
)
from testbed.faults import FaultPlan  # noqa: E402
from testbed.search import SearchServer  # noqa: E402
from testbed.stack import Stack  # noqa: E402
from tests.one_search import Controller, asked_of_controller  # noqa: E402
from tests.stack import quick_stack  # noqa: E402
from tests.tables import Table, create_table  # noqa: E402

settings.register_profile(
    "default",
    max_examples=20,  # a tenth of a second a test, of the minute that `make check` has
    deadline=None,
    derandomize=True,  # the same ones each time
)
settings.register_profile(
    "nightly",
    settings.get_profile("default"),
    max_examples=400,  # also what the mutations of the code have to get past
)
settings.register_profile(
    "deep",
    max_examples=3000,  # minutes, and others each time
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


#: Session fixtures stop half a dozen servers, each within its grace of 10 s; twice that, for a busy machine.
_TEARDOWN_SECONDS = 120.0
_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_stderr] = os.dup(2)  # while tests run, pytest captures the one everybody writes to
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller())


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Without the garbage collector: none of the tests is garbage, and looking took a third of its CPU.

    Afterwards they are left out of what it looks at.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """End the process, with the stacks of all its threads, where a teardown hangs.

    No other limit holds here: pytest-timeout and pytest's own faulthandler stop counting once a test has
    failed, and it may leave a thread behind that the end of its event loop waits for without a bound.
    """
    faulthandler.dump_traceback_later(_TEARDOWN_SECONDS, exit=True, file=item.config.stash[_stderr])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


#: Looked up once: it runs `java -version`, and collecting tests asks for each of a hundred functions.
engines_here = functools.cache(available_engines)


class Engines:
    """Engines that were started in this session, each once, all stopped at its end."""

    def __init__(self, logs: Path) -> None:
        self._logs, self._stack = logs, contextlib.ExitStack()
        self._running: dict[str, Engine] = {}
        self._clients: dict[str, Any] = {}

    def get(self, name: str) -> Engine:
        if name not in self._running:
            self._running[name] = self._stack.enter_context(dynamodb_engine(name, logs=self._logs))
        return self._running[name]

    def client(self, engine: Engine) -> Any:
        """The engine's own client, made once: making one costs 50 ms."""
        if engine.name not in self._clients:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
                self._clients[engine.name] = make_client()
        return self._clients[engine.name]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def running_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    engines = Engines(tmp_path_factory.mktemp("engines"))
    yield engines
    engines.close()


@pytest.fixture(scope="session")
def engine(running_engines: Engines) -> Engine:
    """One real DynamoDB engine for the whole session: the fastest there is. Has `name` and `endpoint_url`."""
    return running_engines.get(engines_here()[0])


#: Fixtures that start servers, dearest first.
COSTS = {"stack": {"temporal", "stack"}, "engines": {"running_engines", "make_table", "search"}}


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Sort tests by cost, as far as they do not say it themselves; pyproject.toml lists the markers."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("unit", *COSTS)):
            fixtures = set(getattr(item, "fixturenames", ()))
            cost = next((name for name, starts in COSTS.items() if starts & fixtures), "unit")
            if cost != "unit" or not item.get_closest_marker("nightly"):  # at night: too long for `make check`
                item.add_marker(cost)
    yield  # what was not asked for is deselected
    if (processes := getattr(config, "workerinput", {}).get("workercount", 1)) > 1:
        items[:] = _dearest_first(items, processes)


def _dearest_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """In each process's part those of a minute first, then those with Temporal, then the others.

    pytest-xdist gives each process a part of this list that is as long as the others, and has it steal later,
    from the end and never the last two: with cheap ones at the end, none works on for long when the others have
    ended.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    dear = [item for item in others if item.get_closest_marker("stack")]
    cheap = [item for item in others if not item.get_closest_marker("stack")]
    ordered: list[pytest.Item] = []
    for process in range(processes):
        ordered += long[process::processes]
        # Neighbours stay together: they share fixtures of their module.
        ordered += dear[len(dear) * process // processes : len(dear) * (process + 1) // processes]
        end = max(0, len(items) * (process + 1) // processes - len(ordered))
        ordered += cheap[:end]
        cheap = cheap[end:]
    return ordered + cheap


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "each_engine" in metafunc.fixturenames:
        # moto knows no PartiQL worth the name: what it is used for, its own tests say.
        first, *others = [name for name in engines_here() if name != "moto"]
        nightly = [pytest.param(name, marks=pytest.mark.nightly) for name in others]
        metafunc.parametrize("each_engine", [first, *nightly], indirect=True, scope="session")


@pytest.fixture(scope="session")
def each_engine(request: pytest.FixtureRequest, running_engines: Engines) -> Engine:
    """Every engine to be had on this machine, one after another."""
    return running_engines.get(request.param)


def _use(engine: Engine, engines: Engines, patch: pytest.MonkeyPatch) -> Any:
    patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint_url)
    return engines.client(engine)


@pytest.fixture
def dynamodb(engine: Engine, running_engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Any:
    """boto3's client of `engine`, made as the engine makes it; AWS's own settings point there too."""
    return _use(engine, running_engines, monkeypatch)


@pytest.fixture
def each_dynamodb(each_engine: Engine, running_engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As `dynamodb`, on every engine."""
    return _use(each_engine, running_engines, monkeypatch)


@pytest.fixture
def ledger(dynamodb: Any) -> Iterator[Ledger]:
    """A ledger of the test's own."""
    made = Ledger(f"ledger-{uuid.uuid4().hex[:8]}")
    made.store.create()
    yield made
    dynamodb.delete_table(TableName=made.table)


@pytest.fixture
def each_ledger(each_dynamodb: Any) -> Iterator[Ledger]:
    """The same on each engine."""
    made = Ledger(f"ledger-{uuid.uuid4().hex[:8]}")
    assert made.store.create()
    yield made
    each_dynamodb.delete_table(TableName=made.table)


@pytest.fixture
def make_table(request: pytest.FixtureRequest) -> Iterator[Callable[..., Table]]:
    """Makes tables on the engine in use and drops them afterwards; see `tests.tables.create_table`."""
    every = "each_engine" in request.fixturenames
    client = request.getfixturevalue("each_dynamodb" if every else "dynamodb")
    made: list[Table] = []

    def make(**how: Any) -> Table:
        table = create_table(client, **how)
        made.append(table)
        return table

    yield make
    for table in made:
        table.drop()


@pytest.fixture(scope="session")
def search(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one OpenSearch for the whole session, and all its processes; each test has index names of its
    own. Who stops it starts one of their own."""
    if url := asked_of_controller(request.config):
        yield url
        return
    with SearchServer(logs=tmp_path_factory.mktemp("search")) as server:
        yield server.url


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """One real Temporal server for the whole session."""
    attributes = dict.fromkeys(SEARCH_ATTRIBUTES, "Keyword")
    with temporal_server(
        logs=tmp_path_factory.mktemp("temporal"),
        search_attributes=attributes,
        dynamic_config={"frontend.WorkflowPauseEnabled": True},  # a test pauses a job in Temporal itself
    ) as server:
        yield server


@pytest.fixture(scope="session")
def stack(
    temporal: TemporalServer, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Server, engine, fault proxy and workers for the whole session; each test makes its own table."""
    logs = tmp_path_factory.mktemp("stack")
    with quick_stack(logs, "reindexer-tests", temporal=temporal, engine=engine) as made, made.workers:
        yield made


@pytest.fixture
def quiet(stack: Stack) -> Iterator[Stack]:
    """The stack without faults, before and after; a test switches them on itself."""
    stack.proxy.set_plan(FaultPlan())
    stack.proxy.reset()
    stack.workers.come_up()  # commands that start a job give workers five seconds
    yield stack
    stack.proxy.set_plan(FaultPlan())

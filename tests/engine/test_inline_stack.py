"""The engines that tests run one after the other in one process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import Settings

import tests.engine.inline_stack  # noqa: F401 - sets the options of the channels

pytestmark = pytest.mark.whole


@contextmanager
def engine(port: int = 0) -> Iterator[int]:
    """Serve at this port, by default at any free one, and yield it. No request is implemented."""
    server = grpc.server(ThreadPoolExecutor(1))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield bound
    server.stop(None).wait()


def first_answer(program: Settings) -> grpc.StatusCode:
    """Send what each program sends first, and return the status."""
    assert program.monitor is not None
    with pytest.raises(grpc.RpcError) as error:
        program.monitor.SupportsFeature(resource_pb2.SupportsFeatureRequest(id="secrets"))
    status: grpc.StatusCode = error.value.code()
    return status


def test_an_engine_is_reached_at_the_port_of_one_that_an_earlier_program_still_calls() -> None:
    with engine() as port:
        earlier = Settings("project", "stack", f"127.0.0.1:{port}")
        assert first_answer(earlier) == grpc.StatusCode.UNIMPLEMENTED
    assert first_answer(earlier) == grpc.StatusCode.UNAVAILABLE
    with engine(port):
        assert first_answer(Settings("project", "stack", f"127.0.0.1:{port}")) == grpc.StatusCode.UNIMPLEMENTED

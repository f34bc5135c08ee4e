"""The AWS API over HTTP: one port for all services and regions, and the lab's own paths below `/_lab/`.

- `/_lab/generation?after=N&timeout=S`: `{"generation": n, "regions": {region: n}, "reboots": {instance: count}}`
  as soon as n > N, or after S seconds (default 0, at most 60).
- `/_lab/calls?after=N`: the recorded calls after sequence number N.
- `/_lab/faults`: the pending API faults. POST `?action=RunInstances&region=eu-west-2&code=VcpuLimitExceeded` adds one
  (fields: `lab.api.api_faults.ApiFault`), DELETE removes all.
- `/_lab/status-checks`: POST `{region: {instance: failed}}` publishes EC2's metrics of its status checks.
"""

import contextlib
import json
import socket
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any, Final
from uuid import uuid4

from moto.core.request import Request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from lab.api import status_checks
from lab.api.api_faults import ApiFaultRequestError
from lab.api.authorization import ADMINISTRATOR, Scope, authorize, parse_scope
from lab.api.errors import ApiError, render
from lab.api.journal import RecordedCall
from lab.api.needs import needs_of
from lab.api.service import RESPONSES, action_of, answer, install, is_json, parameters_of
from lab.api.state import API_FAULTS, JOURNAL, LOCK

LONGEST_POLL: Final = 60.0
"""Seconds."""

_READ_ONLY: Final = ("Describe", "Get", "List", "AssumeRole", "Decode", "Search", "Simulate", "PutMetricData")
"""Beginnings of the actions after which network and machines stay as they are."""


class _ServedRequest(Request):
    """A request from a real server, to which moto then leaves the Date header."""

    from_wsgi_server = True


class _Handler(WSGIRequestHandler):
    """Sends small answers at once. Logs nothing: the API itself logs one line for each call."""

    disable_nagle_algorithm = True
    wbufsize = 65536

    def handle(self) -> None:
        """Serve a connection, which may begin with the client's address (HAProxy's PROXY protocol, version 1)."""
        with contextlib.suppress(ConnectionError):
            reader: Any = self.rfile
            if reader.peek(6)[:6] == b"PROXY ":
                _, _, source, _, port, _ = reader.readline(108).decode("ascii").split()
                self.client_address = (source, int(port))
        super().handle()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer one request (WSGI)."""
    request = _ServedRequest(environ)
    request.get_data(cache=True, parse_form_data=False)
    response = _lab_answer(request) if request.path.startswith("/_lab/") else _service_answer(request)
    return response(environ, start_response)


def _lab_answer(request: Request) -> Response:
    if request.path == "/_lab/faults":
        return _fault_answer(request)
    if request.path == "/_lab/status-checks":
        status_checks.publish(json.loads(request.get_data()))
        return Response(status=204)
    try:
        after = int(request.args.get("after", "0"))
        timeout = min(float(request.args.get("timeout", "0")), LONGEST_POLL)
    except ValueError as error:
        return Response(f"after and timeout must be numbers: {error}\n", status=400, mimetype="text/plain")
    if request.path == "/_lab/generation":
        content: Any = JOURNAL.wait(after, timeout)
    elif request.path == "/_lab/calls":
        content = JOURNAL.calls(after)
    else:
        known = "/_lab/generation, /_lab/calls, /_lab/faults, /_lab/status-checks"
        return Response(f"the lab has {known}\n", status=404, mimetype="text/plain")
    return Response(json.dumps(content), mimetype="application/json")


def _fault_answer(request: Request) -> Response:
    try:
        if request.method == "POST":
            API_FAULTS.add(request.args)
        elif request.method == "DELETE":
            API_FAULTS.clear()
    except ApiFaultRequestError as error:
        return Response(f"{error}\n", status=400, mimetype="text/plain")
    return Response(json.dumps(API_FAULTS.pending()), mimetype="application/json")


def _service_answer(request: Request) -> Response:
    started = time.perf_counter()
    request_id = str(uuid4())
    scope = Scope(access_key_id="", region="us-east-1", service="", signed_headers=(), signature="")
    action, principal, error_code = "", ADMINISTRATOR, None
    headers: dict[str, Any]
    body: str | bytes
    try:
        scope = parse_scope(request.headers.get("Authorization", ""))
        action = action_of(scope.service, request)
        _require_known(scope.service, action)
        API_FAULTS.apply(action, scope.region)
        parameters = parameters_of(scope.service, request)
        with LOCK:
            principal = authorize(request, scope, needs_of(scope.service, action, scope.region, parameters))
            status, headers, body = answer(scope.service, request)
        error_code = _error_code(status, headers, body)
    except ApiError as error:
        status, error_code = error.status, error.code
        headers, body = render(scope.service, error, request_id, as_json=is_json(scope.service, request))
    except Exception as error:
        status, failure = _failure(action, error)
        error_code = failure.code
        headers, body = render(scope.service, failure, request_id, as_json=is_json(scope.service, request))
    headers.pop("status", None)
    call = JOURNAL.record(
        mutating=not action.startswith(_READ_ONLY),
        region=scope.region,
        service=scope.service,
        action=action,
        duration_ms=round((time.perf_counter() - started) * 1000, 1),
        status=status,
        error_code=error_code,
        principal=principal,
    )
    _log(call)
    return Response(body, status=status, headers={"x-amzn-RequestId": request_id, **headers})


def _require_known(service: str, action: str) -> None:
    if service not in RESPONSES:
        known = ", ".join(sorted(RESPONSES))
        raise ApiError(400, "UnknownService", f"the lab's AWS has no service '{service}'; it has {known}")
    if not action:
        raise ApiError(400, "MissingAction", "The request is missing an action or a required parameter.")


def _failure(action: str, error: Exception) -> tuple[int, ApiError]:
    traceback.print_exc(file=sys.stdout)
    if isinstance(error, NotImplementedError):
        # SDKs do not retry a 501.
        return 501, ApiError(501, "UnsupportedOperation", f"the lab's AWS does not have {action}: {error}")
    return 500, ApiError(500, "InternalError", f"{action}: {type(error).__name__}: {error}")


def _error_code(status: int, headers: dict[str, Any], body: str | bytes) -> str | None:
    if status < 400:
        return None
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    if "<Code>" in text:
        return text.partition("<Code>")[2].partition("</Code>")[0]
    error_type = headers.get("x-amzn-errortype") or headers.get("X-Amzn-ErrorType")
    if error_type:
        return str(error_type)
    try:
        return str(json.loads(text)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return f"HTTP{status}"


def _log(call: RecordedCall) -> None:
    moment = time.strftime("%H:%M:%S", time.localtime(call.time))
    line = f"{moment} {call.region} {call.service}:{call.action} {call.status} {call.duration_ms:.1f}ms"
    if call.error_code:
        line += f" {call.error_code}"
    if call.principal != ADMINISTRATOR:
        line += f" by {call.principal}"
    print(line, flush=True)


def serve(listener: socket.socket) -> BaseWSGIServer:
    """Return a server of the corrected services. It takes over the listening socket.

    Raises IncompatibleMotoError when the corrections do not fit the installed moto.
    """
    install()
    host, port = listener.getsockname()[:2]
    with listener:
        return make_server(host, port, application, threaded=True, request_handler=_Handler, fd=listener.fileno())

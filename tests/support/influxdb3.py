"""A double of InfluxDB 3, made from its documents: POST /api/v3/write_lp over HTTP, SQL over Arrow Flight.

It is strict: unknown parameters, unescaped signs, a field of another type, a query without a token are refused as the
documents say. What it acknowledged is in its write-ahead log on the disk, so that a kill loses nothing of it.

    python -m support.influxdb3 FOLDER HTTP_PORT FLIGHT_PORT TOKEN
"""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from support.line_protocol import LineError, parse

ROOT = Path(__file__).resolve().parents[2]
_PRECISIONS = {"auto", "nanosecond", "microsecond", "millisecond", "second", "ns", "us", "ms", "s"}
_PARAMETERS = {"db", "precision", "accept_partial", "no_sync", "org"}  # the vendor's client sends org everywhere


class Table:
    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags, self.fields, self.rows = tags, {}, {}


class Database:
    """Tables by name; a write with known tags and time takes the place of what was there, field by field."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}

    def write(self, line: str) -> None:
        name, tags, fields, stamp = parse(line)
        table = self.tables.get(name) or Table(tuple(sorted(tags)))
        if tuple(sorted(tags)) != table.tags:
            raise LineError(f"table {name}: expected tags {table.tags}, got {tuple(sorted(tags))}")
        for key, (kind, _) in fields.items():
            if table.fields.get(key, kind) != kind:
                raise LineError(f"column {key}: expected type {table.fields[key]}, got {kind}")
        self.tables[name] = table
        table.fields |= {key: kind for key, (kind, _) in fields.items()}
        row = table.rows.setdefault((tuple(tags[key] for key in table.tags), stamp), {})
        row |= {key: value for key, (_, value) in fields.items()}

    def query(self, sql: str, parameters: dict[str, str]):
        import polars as pl
        import pyarrow as pa

        types = {"integer": pl.Int64, "unsigned": pl.UInt64, "float": pl.Float64, "boolean": pl.Boolean,
                 "string": pl.String}  # fmt: skip
        (name,) = re.findall(r"\bFROM (\w+)", sql)
        if name not in self.tables:
            raise KeyError(f"Error while planning query: Error during planning: table 'public.iox.{name}' not found")
        table = self.tables[name]
        rows = [
            dict(zip(table.tags, tags, strict=True)) | {"time": stamp} | row
            for (tags, stamp), row in table.rows.items()
        ]
        schema = dict.fromkeys(table.tags, pl.String) | {key: types[kind] for key, kind in table.fields.items()}
        frame = pl.DataFrame(rows, schema={**schema, "time": pl.Int64})
        for key, value in parameters.items():
            quoted = value.replace("'", "''")
            sql = re.sub(rf"\${key}\b", lambda _, quoted=quoted: f"'{quoted}'", sql)
        sql = re.sub(r"(time [<>]=?) '([^']+)'", lambda found: f"{found[1]} {_nanoseconds(found[2])}", sql)
        answer = pl.SQLContext({name: frame}).execute(sql, eager=True).to_arrow()
        for place, column in enumerate(answer.column_names):
            if column == "time":
                answer = answer.set_column(place, column, answer.column(column).cast(pa.timestamp("ns")))
            elif column in table.tags:
                plain = answer.column(column).cast(pa.string())
                answer = answer.set_column(place, column, plain.dictionary_encode())
        return answer


def _nanoseconds(moment: str) -> int:
    from datetime import datetime

    seconds, _, rest = moment.removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(seconds + "+00:00").timestamp())
    return whole * 1_000_000_000 + int(rest.ljust(9, "0"))


class Server:
    def __init__(self, folder: Path, token: str) -> None:
        self.token, self.databases, self.lock = token, {}, threading.Lock()
        self.failures: list[int] = []
        self.writes = 0
        path = folder / "wal.jsonl"
        for line in path.read_bytes().splitlines() if path.exists() else []:
            entry = json.loads(line)
            self.write(entry["db"], entry["lines"], partial=True)
        self._wal = path.open("ab")

    def write(self, name: str, lines: list[str], *, partial: bool) -> list[dict[str, object]]:
        database = self.databases.setdefault(name, Database())
        errors = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                parse(line) if errors and not partial else database.write(line)
            except LineError as error:
                errors.append({"original_line": line, "line_number": number, "error_message": str(error)})
        return errors

    def log(self, name: str, lines: list[str]) -> None:
        self._wal.write(json.dumps({"db": name, "lines": lines}).encode() + b"\n")
        self._wal.flush()
        os.fsync(self._wal.fileno())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(200, {"version": "3.0.0-double", "writes": self.server_state.writes})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        state = self.server_state
        if url.path == "/double/fail":  # the tests' own: the next writes are answered so
            state.failures += [int(query["status"])] * int(query["count"])
            return self._answer(200, {})
        if self.headers.get("Authorization") != f"Bearer {state.token}":
            return self._answer(401, {"error": "the request was not authenticated"})
        if url.path != "/api/v3/write_lp":
            return self._answer(404, {"error": "not found"})
        if "db" not in query or query.get("precision", "auto") not in _PRECISIONS or set(query) - _PARAMETERS:
            return self._answer(400, {"error": f"bad parameters {query}"})
        if query.get("precision") not in ("nanosecond", "ns"):
            return self._answer(400, {"error": "expected precision=nanosecond of this writer"})
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if len(body) > 10_000_000:
            return self._answer(413, {"error": "payload too large"})
        with state.lock:
            if state.failures:
                return self._answer(state.failures.pop(0), {"error": "asked to fail"})
            lines = body.decode().split("\n")
            errors = state.write(query["db"], lines, partial=query.get("accept_partial", "true") == "true")
            state.log(query["db"], lines)
            state.writes += 1
        if errors:
            return self._answer(400, {"error": "partial write of line protocol occurred", "data": errors[:100]})
        return self._answer(204, None)

    def _answer(self, status: int, body: object) -> None:
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def serve(folder: Path, http_port: int, flight_port: int, token: str) -> None:
    import polars  # noqa: F401  the first query shall not pay for it
    import pyarrow.flight as flight

    state = Server(folder, token)

    class NeedsToken(flight.ServerMiddlewareFactory):
        def start_call(self, _info: object, headers: dict[str, list[str]]) -> None:
            if headers.get("authorization") != [f"Bearer {token}"]:
                raise flight.FlightUnauthenticatedError("no token")

    class Queries(flight.FlightServerBase):
        def do_get(self, _context: object, ticket: flight.Ticket) -> flight.RecordBatchStream:
            asked = json.loads(ticket.ticket)
            if set(asked) - {"database", "sql_query", "query_type", "params"} or asked["query_type"] != "sql":
                raise flight.FlightServerError(f"bad ticket {asked}")
            with state.lock:
                database = state.databases.get(asked["database"], Database())
                try:
                    answer = database.query(asked["sql_query"], asked.get("params", {}))
                except KeyError as error:
                    raise flight.FlightServerError(str(error)) from None
            return flight.RecordBatchStream(answer)

    Handler.server_state = state
    queries = Queries(f"grpc://127.0.0.1:{flight_port}", middleware={"token": NeedsToken()})
    web = ThreadingHTTPServer(("127.0.0.1", http_port), Handler)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    queries.serve()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class InfluxDouble:
    """The double in a process of its own; after `kill` and `start` it has what it acknowledged."""

    token = "secret-token"

    def __init__(self, folder: Path) -> None:
        self.folder, self.http_port, self.flight_port = folder, _free(), _free()
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> "InfluxDouble":
        program = [sys.executable, "-m", "support.influxdb3", str(self.folder), str(self.http_port),
                   str(self.flight_port), self.token]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                program, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}"}
            )
        wait_for_port(self.http_port, self.child)
        return self

    def kill(self) -> None:
        if self.child:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child = None

    def fail(self, status: int, count: int) -> None:
        from urllib.request import Request, urlopen

        with urlopen(Request(f"{self.url}/double/fail?status={status}&count={count}", b"", method="POST")):
            pass

    def writes(self) -> int:
        from urllib.request import urlopen

        with urlopen(self.url) as answer:
            return json.loads(answer.read())["writes"]


def wait_for_port(port: int, child: subprocess.Popen[bytes], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while True:
        assert child.poll() is None, f"ended with {child.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            assert time.monotonic() < end, f"nobody listens on {port}"
            time.sleep(0.02)
        else:
            return


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

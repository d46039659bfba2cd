"""Sinks of audit events against foreign receivers: PyPI's opentelemetry-proto, Python's own TLS as a syslog server, PyPI's
standardwebhooks, Prometheus's promtool and its client's strict parser."""

import base64
import gzip
import http.server
import json
import re
import socketserver
import ssl
import subprocess
import threading
import urllib.request

from conftest import CACHE, Machine, free_port, make_ca, python, wait_until

# RFC 5424 §6, as a grammar of its own.
SYSLOG = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<id>[!-~]{1,32}) "
    rb"\[(?P<sd>[!-~]+)(?P<params>(?: [!-~]+=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*)\] \xef\xbb\xbf(?P<msg>.*)", re.DOTALL)


class Http:
    """Takes POSTs; answers 503 for the first so many."""

    def __init__(self, refuse=0):
        self.requests, self.refuse = [], refuse
        world = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = 503 if len(world.requests) < world.refuse else 200
                world.requests.append((self.path, dict(self.headers.items()), body, status))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self, path):
        return [(headers, body) for at, headers, body, status in self.requests if at == path and status == 200]


class Syslog:
    """A syslog server over TLS: each connection's bytes, once it has ended."""

    def __init__(self, folder):
        self.received = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "model.pem", folder / "model.key")
        world = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with context.wrap_socket(self.request, server_side=True) as stream:
                    data = b""
                    while more := stream.recv(65536):
                        data += more
                    world.received.append(data)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def messages(self):
        """RFC 5425 §4.3: octets counted."""
        messages = []
        for data in list(self.received):
            while data:
                length, _, rest = data.partition(b" ")
                messages.append(rest[: int(length)])
                assert len(messages[-1]) == int(length)
                data = rest[int(length):]
        return messages


def decoded(kind, bodies):
    """What opentelemetry-proto makes of bodies, as JSON of its own protobuf runtime."""
    program = f"""
import json, sys
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.{kind}.v1.{kind}_service_pb2 import Export{'Trace' if kind == 'trace' else kind.capitalize()}ServiceRequest as Request
for line in sys.stdin:
    print(json.dumps(MessageToDict(Request.FromString(bytes.fromhex(line)))))
"""
    run = subprocess.run([python("otel"), "-c", program], input="".join(body.hex() + "\n" for body in bodies),
                         capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def attributes(things):
    return {one["key"]: next(iter(one["value"].values())) for one in things}


def test_foreign_receivers_read_what_sinks_ship(world, tmp_path):
    folder = tmp_path / "receivers"
    folder.mkdir()
    make_ca(folder)
    otel, hook, logs = Http(), Http(refuse=2), Syslog(folder)
    model = Http()
    metrics = free_port()
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    secret = subprocess.run([python("otel"), "-c", "import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())"],
                            capture_output=True, text=True, check=True).stdout.strip()
    world.model("gpt", model.url, tls='"relaxed"', dialect='"openai"')
    world.models += f"""
[[sink]]
name = "otel"
from = "start"
kind = "otlp"
url = "{otel.url}"
headers = {{ x-api-key = {{ env = "OTEL_KEY" }} }}
[[sink]]
name = "hook"
from = "start"
kind = "webhook"
url = "{hook.url}/audit"
secret = {{ env = "HOOK_SECRET" }}
[[sink]]
name = "logs"
from = "start"
kind = "syslog"
address = "localhost:{logs.port}"
ca = "{folder}/model-ca.pem"
facility = "local4"
"""
    gateway = start(world, metrics, secret)

    laptop = world.laptop()
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"),
               env={**laptop.env, "HOOPCTL_WORKLOAD_TOKEN": machine.token()})
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    asked = json.dumps({"model": 'gpt-4o"]', "messages": [{"role": "user", "content": "hello"}]})
    laptop.run("call", "gpt", "/v1/chat/completions", "-H", f"traceparent: {parent}", "-H", "content-type: application/json",
               "-d", asked)

    exchange = lambda: [m for m in logs.messages() if b" exchange [" in m]
    wait_until("the exchange is in syslog", exchange, 20)
    wait_until("the figures of it are at the collector", lambda: otel.taken("/v1/metrics"), 20)
    spoken = lambda: [e for _, body in hook.taken("/audit") for e in json.loads(body)["data"]["events"]]
    wait_until("the webhook has it", lambda: any(e["kind"] == "exchange" for e in spoken()), 20)

    # Syslog: each message by the grammar, its structured data and the event itself.
    for message in logs.messages():
        read = SYSLOG.fullmatch(message)
        assert read, message
        event = json.loads(read["msg"])
        assert read["id"].decode() == event["kind"] and read["time"].decode() == event["time"]
        assert int(read["pri"]) // 8 == 20 and read["sd"] == b"hoopctl@32473"
    event = json.loads(SYSLOG.fullmatch(exchange()[0])["msg"])
    assert event["request"]["requested_model"] == 'gpt-4o"]' and event["request"]["traceparent"] == parent

    # The webhook was refused twice: everything came all the same, once and in order, signed.
    assert [status for *_, status in hook.requests][:2] == [503, 503]
    verify = "import sys, json; from standardwebhooks import Webhook; headers, body = json.load(sys.stdin); Webhook(sys.argv[1]).verify(body, headers)"
    for headers, body in hook.taken("/audit"):
        subprocess.run([python("otel"), "-c", verify, secret], check=True, text=True,
                       input=json.dumps([{k.lower(): v for k, v in headers.items()}, body.decode()]))
    known = [json.loads(SYSLOG.fullmatch(m)["msg"])["id"] for m in logs.messages()]
    assert [e["id"] for e in spoken()] == known[: len(spoken())]

    # OpenTelemetry, by its own messages.
    for headers, _ in otel.taken("/v1/logs"):
        assert headers["content-type"] == "application/x-protobuf" and headers["x-api-key"] == "k-1"
    bodies = lambda path: [gzip.decompress(body) for _, body in otel.taken(path)]
    records = [record for request in decoded("logs", bodies("/v1/logs")) for resource in request["resourceLogs"]
               for scope in resource["scopeLogs"] for record in scope["logRecords"]]
    assert event in [json.loads(record["body"]["stringValue"]) for record in records]
    (span,) = [span for request in decoded("trace", bodies("/v1/traces")) for resource in request["resourceSpans"]
               for scope in resource["scopeSpans"] for span in scope["spans"]]
    said = attributes(span["attributes"])
    assert span["name"] == 'chat gpt-4o"]' and span["kind"] == "SPAN_KIND_CLIENT"
    assert base64.b64decode(span["traceId"]).hex() == parent.split("-")[1]
    assert base64.b64decode(span["parentSpanId"]).hex() == parent.split("-")[2]
    assert said["gen_ai.provider.name"] == "openai" and said["gen_ai.operation.name"] == "chat"
    figures = {metric["name"]: metric for request in decoded("metrics", bodies("/v1/metrics"))
               for resource in request["resourceMetrics"] for scope in resource["scopeMetrics"] for metric in scope["metrics"]}
    assert figures["gen_ai.client.operation.duration"]["unit"] == "s"
    assert figures["hoopctl.exchanges"]["sum"]["isMonotonic"]

    # Prometheus, by its own linter and its own client's strict parser; no name of a caller, and nothing that a caller wrote.
    scrape = lambda accept="text/plain": urllib.request.urlopen(urllib.request.Request(
        f"http://127.0.0.1:{metrics}/metrics", headers={"accept": accept})).read().decode()
    text = wait_until("every sink has sent everything", lambda: (text := scrape()).count("sink_lag_events{") == 3
                      and len(re.findall(r"hoopctl_sink_lag_events\{sink=\"\w+\"\} 0\n", text)) == 3 and text, 20)
    lint = subprocess.run([CACHE / "promtool" / "promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert lint.returncode == 0 and not lint.stderr, (lint.stdout, lint.stderr)
    read = """
import sys, json
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
text = sys.stdin.read()
families = list(strict(text))
assert all(family.documentation for family in families), [f.name for f in families if not f.documentation]
print(json.dumps([[s.name, s.labels, s.value] for f in families for s in f.samples]))
"""
    text = scrape("application/openmetrics-text;version=1.0.0")
    run = subprocess.run([python("otel"), "-c", read], input=text, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    samples = json.loads(run.stdout)
    value = lambda name, **labels: next(v for n, l, v in samples if n == name and l == labels)
    assert value("hoopctl_sink_failures_total", sink="hook") == 2
    assert value("hoopctl_sink_delivered_events_total", sink="logs") == len(logs.messages())
    assert value("hoopctl_sink_set_aside_events_total", sink="otel") == 0
    assert value("hoopctl_exchanges_finished_total") == 1
    assert "repo:acme/app" not in text and "gpt-4o" not in text
    assert all(re.fullmatch(r"hoopctl_[a-z0-9_]+", name) for name, _, _ in samples)

    # Killed in the middle of shipping, it goes on where receivers said yes: nothing is lost, and nothing that was taken comes twice.
    gateway.kill()
    gateway.wait()
    gateway.log.unlink()
    before = len(spoken())
    gateway = start(world, metrics, secret)
    wait_until("the start is told of", lambda: any(e["kind"] == "gateway_start" for e in spoken()[before:]), 20)
    told = [e["id"] for e in spoken()]
    assert len(told) == len(set(told))


def start(world, metrics, secret):
    """The gateway with metrics on a port of their own: a key of [gateway], behind those that the world writes."""
    identity, world.identity = world.identity, f'metrics = "127.0.0.1:{metrics}"\n\n{world.identity}'
    try:
        return world.gateway(env={"OTEL_KEY": "k-1", "HOOK_SECRET": secret})
    finally:
        world.identity = identity

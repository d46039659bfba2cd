"""Two hosts in network namespaces: UDP open, UDP dropped on the gateway's side; the same client gets the same answer."""

import contextlib
import json
import os
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest

from conftest import Laptop, Machine, make_ca, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def sh(*argv):
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def two_hosts():
    """Namespaces `gateway` and `laptop` joined by a pair of interfaces; names carry this process's id."""
    near, far = f"hoop-l-{os.getpid()}", f"hoop-g-{os.getpid()}"
    try:
        for name in (near, far):
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
        sh("ip", "-n", near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far)
        for name, address in ((near, "10.77.0.2/24"), (far, "10.77.0.1/24")):
            sh("ip", "-n", name, "addr", "add", address, "dev", "eth0")
            sh("ip", "-n", name, "link", "set", "eth0", "up")
        yield near, far
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


MODEL = """
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"the same answer"
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"""


def test_udp_dropped_at_the_gateway_is_served_over_tcp(world, two_hosts):
    near, far = two_hosts
    inside, outside = ("ip", "netns", "exec", near), ("ip", "netns", "exec", far)
    make_ca(world.folder)
    model = world.processes.start("model", [*outside, "python3", "-c", MODEL, str(world.folder / "model.pem"),
                                    str(world.folder / "model.key")])
    wait_until("the model listens", lambda: "listening" in model.log.read_text())
    machine = Machine(world.etc)
    world.url, world.listen = "https://10.77.0.1:8444", "0.0.0.0:8444"
    world.identity = Machine.IDENTITY
    world.model("m", "https://127.0.0.1:8443", ca=f'"{world.folder}/model-ca.pem"')
    world.gateway(prefix=outside)

    def answer_of(name):
        laptop = Laptop(world, world.folder / name, {"HOOPCTL_WORKLOAD_TOKEN": machine.token()}, prefix=inside)
        laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
        start = time.monotonic()
        answer = laptop.run("call", "m", "/").stdout
        took = time.monotonic() - start
        event = laptop.json("audit", "query", "--model", "m")["events"][-1]
        assert event["caller"]["subject"] == "repo:acme/app" and event["caller"]["groups"] == ["ml-users"]
        return answer, event["evidence"]["client"]["transport"], took

    answer, transport, open_took = answer_of("open")
    assert (answer, transport) == (b"the same answer", "quic")
    for rule in (("add", "table", "inet", "wall"),
                 ("add", "chain", "inet", "wall", "in", "{ type filter hook input priority 0 ; }"),
                 ("add", "rule", "inet", "wall", "in", "iif", "eth0", "udp", "dport", "8444", "drop")):
        sh(*outside, "nft", *rule)
    answer, transport, took = answer_of("walled")
    assert (answer, transport) == (b"the same answer", "tcp")
    print(f"open {open_took:.3f} s, walled {took:.3f} s")
    assert took < open_took + 1, "UDP's head start is 250 ms, not a time-out"


def test_a_forged_or_foreign_workload_token_is_refused(world):
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    world.gateway()
    stranger = Machine(world.folder)
    now = int(time.time())
    tokens = {
        "other-audience": machine.token(aud="elsewhere"),
        "other-issuer": machine.token(iss="https://evil.example.test"),
        "expired": machine.token(iat=now - 7200, exp=now - 3600),
        "other-key": stranger.token(),
        "unsigned": jwt.encode({"iss": "https://ci.example.test", "aud": "hoopctl", "sub": "x", "exp": now + 60}, None, "none"),
    }
    for name, token in tokens.items():
        laptop = world.laptop(name, HOOPCTL_WORKLOAD_TOKEN=token)
        done = laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"), expect=4)
        assert token.encode() not in done.stderr, name

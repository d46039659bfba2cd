"""Other people's auditors look at the gateway's public port, and another HTTP/2 client sends frames through every door."""

import json
import os
import re
import shutil
import subprocess

from conftest import CACHE, Machine, make_ca, wait_until

MODEL = """
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"x" * 1000
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
"""


def test_sslyze_calls_the_public_port_modern(world):
    """Mozilla's "modern" profile, certificate included, with our own CA as the root."""
    world.gateway()
    report = world.folder / "sslyze.json"
    done = subprocess.run(
        [CACHE / "sslyze" / "bin" / "sslyze", "--mozilla_config=modern", f"--certinfo_ca_file={world.state}/ca.pem",
         f"--json_out={report}", f"localhost:{world.port}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "OK - Compliant" in done.stdout, done.stdout[-4000:] + done.stderr
    scan = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    for weakness, finding in (("heartbleed", "is_vulnerable_to_heartbleed"),
                              ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection"),
                              ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos"),
                              ("tls_compression", "supports_compression")):
        assert scan[weakness]["result"][finding] is False, weakness
    deployment = scan["certificate_info"]["result"]["certificate_deployments"][0]
    assert any(one["was_validation_successful"] for one in deployment["path_validation_results"])


def test_testssl_finds_nothing_in_protocols_and_ciphers(world):
    world.gateway()
    report = world.folder / "testssl.json"
    done = subprocess.run(
        [shutil.which("testssl") or "testssl.sh", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1",
         "-p", "-s", "--jsonfile", report, f"localhost:{world.port}"],
        capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "dumb"})
    findings = json.loads(report.read_text())
    # `engine_problem` is about the auditor's own OpenSSL.
    bad = [one for one in findings if one["severity"] not in ("OK", "INFO", "DEBUG") and one["id"] != "engine_problem"]
    assert not bad, (bad, done.stdout[-2000:])
    said = {one["id"]: one["finding"] for one in findings}
    assert "offered" in said["TLS1_3"] and "not offered" in said["TLS1_2"], said


def test_h2load_through_the_local_port_and_against_direct_ingress(world):
    make_ca(world.folder)
    model = world.processes.start("model", ["python3", "-c", MODEL, str(world.folder / "model.pem"), str(world.folder / "model.key")])
    line = wait_until("the model listens", lambda: re.search(r"listening (\d+)", model.log.read_text()))
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    world.model("m", f"https://localhost:{line[1]}", ca=f'"{world.folder}/model-ca.pem"')
    world.gateway()
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token())
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
    _, said = laptop.connect("m")
    token = laptop.run("token", "m").stdout.decode().strip()
    body = world.folder / "body"
    body.write_bytes(b"{}" * 2000)
    for name, argv in (
        ("prior knowledge on the local port", [said["url"] + "/v1/x"]),
        ("uploads on the local port", ["-d", str(body), said["url"] + "/v1/x"]),
        ("direct ingress", ["-H", f"authorization: Bearer {token}", f"{world.url}/models/m/v1/x"]),
    ):
        done = subprocess.run(["h2load", "-n", "200", "-c", "4", "-m", "10", *argv], capture_output=True, text=True, timeout=120)
        assert "200 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, (name, done.stdout, done.stderr)
        assert "200 2xx" in done.stdout, (name, done.stdout)
    # A key that is asked for is asked for on each stream of a connection.
    _, said = laptop.connect("m", "--local-key", "--port", "0", name="keyed")
    for key, expected in (("wrong", "0 2xx, 0 3xx, 20 4xx"), (said["local_key"], "20 2xx")):
        done = subprocess.run(["h2load", "-n", "20", "-c", "1", "-m", "5", "-H", f"authorization: Bearer {key}", said["url"] + "/v1/x"],
                              capture_output=True, text=True, timeout=120)
        assert expected in done.stdout, done.stdout

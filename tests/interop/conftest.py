"""A world of real counterparts on loopback, and hoopctl in the middle. Everything started here is ended here, by id."""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ["HOOPCTL_TEST_CACHE"])
HOOPCTL = os.environ["HOOPCTL_BIN"]


def python(environment):
    return str(CACHE / environment / "bin" / "python")


# Of those that the system gives to no connection by itself (it takes 32768 and up) and `connect` to no model (20000 and up).
PORTS = itertools.cycle(range(10000, 12000))


def free_port(kind=socket.SOCK_STREAM):
    """A port nobody has now. Programs nobody here wrote cannot be asked for port 0 and the answer."""
    for port in itertools.islice(PORTS, 2000):
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Processes:
    """Programs that run beside a test and end with it."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def start(self, name, argv, env=None, **options):
        log = open(self.folder / f"{name}.log", "ab")
        options.setdefault("stdout", log)
        process = subprocess.Popen(argv, stderr=log, env={**os.environ, **(env or {})}, **options)
        process.log = self.folder / f"{name}.log"
        self.running.append(process)
        return process

    def stop(self):
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def processes(tmp_path):
    running = Processes(tmp_path)
    yield running
    running.stop()


def make_ca(folder, names="DNS:localhost,IP:127.0.0.1"):
    """A CA and a server certificate of it, by openssl: nothing of hoopctl's own making."""
    run = lambda *argv: subprocess.run(["openssl", *argv], check=True, capture_output=True, cwd=folder)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=model CA", "-keyout", "model-ca.key", "-out", "model-ca.pem")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=model",
        "-keyout", "model.key", "-out", "model.csr")
    (folder / "model.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
    run("x509", "-req", "-in", "model.csr", "-CA", "model-ca.pem", "-CAkey", "model-ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", "model.ext", "-out", "model.pem")
    return folder / "model-ca.pem"


def nginx_front(processes, folder, backend, grpc=None):
    """nginx ends TLS in front of a plaintext model server, as operators do. Returns its port; with a port for gRPC, both."""
    port, grpc_port = free_port(), free_port()
    serves_grpc = f"""
  server {{
    listen 127.0.0.1:{grpc_port} ssl http2;
    ssl_certificate {folder}/model.pem; ssl_certificate_key {folder}/model.key; ssl_protocols TLSv1.3;
    location / {{ grpc_pass grpc://127.0.0.1:{grpc}; }}
  }}""" if grpc else ""
    make_ca(folder)
    (folder / "nginx.conf").write_text(f"""
daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/ngx-body; proxy_temp_path {folder}/ngx-proxy;
  fastcgi_temp_path {folder}/ngx-f; uwsgi_temp_path {folder}/ngx-u; scgi_temp_path {folder}/ngx-s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/model.pem; ssl_certificate_key {folder}/model.key; ssl_protocols TLSv1.3;
    location / {{ proxy_pass http://127.0.0.1:{backend}; proxy_http_version 1.1; proxy_buffering off;
                  proxy_set_header Connection ""; }}
  }}{serves_grpc}
}}
""")
    processes.start("nginx", ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    wait_until("nginx answers", lambda: answers(port))
    return (port, grpc_port) if grpc else port


class Tee:
    """Passes bytes on to a port and keeps them, so that a test can compare byte for byte."""

    def __init__(self, backend):
        self.backend, self.there, self.back = backend, bytearray(), bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.backend))
                threading.Thread(target=self.pump, args=(near, far, self.there), daemon=True).start()
                threading.Thread(target=self.pump, args=(far, near, self.back), daemon=True).start()

    @staticmethod
    def pump(source, sink, copy):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                copy += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class World:
    """One gateway with its folder, and laptops that have nothing but a home folder of their own."""

    def __init__(self, folder, processes):
        self.folder, self.processes = folder, processes
        self.etc, self.state = folder / "etc", folder / "state"
        (self.etc / "policies").mkdir(parents=True)
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.listen = f"127.0.0.1:{self.port}"
        self.identity = '[[identity]]\nkind = "dev"\nusers = [{ name = "alice", groups = ["ml-users"] }, { name = "bob", groups = ["guests"] }]\n'
        self.models = ""
        self.policy('@id("ml-users") permit(principal in Group::"ml-users", action, resource);')

    def policy(self, text):
        (self.etc / "policies" / "all.cedar").write_text(text)

    def model(self, name, upstream, **extra):
        self.models += f'[[model]]\nname = "{name}"\nupstream = "{upstream}"\n'
        self.models += "".join(f"{key} = {value}\n" for key, value in extra.items())

    def gateway(self, env=None, prefix=()):
        (self.etc / "gateway.toml").write_text(
            f'[gateway]\npublic_url = "{self.url}"\nlisten = "{self.listen}"\nstate = "{self.state}"\n'
            f'policies = "policies"\n\n{self.identity}\n{self.models}')
        process = self.processes.start(
            "gateway", [*prefix, HOOPCTL, "gateway", "run", "--config", str(self.etc / "gateway.toml")], env=env)

        def ready():
            assert process.poll() is None, process.log.read_text()
            return "serves on" in process.log.read_text()

        wait_until("the gateway is ready", ready)
        return process

    def laptop(self, name="laptop", **env):
        return Laptop(self, self.folder / name, env)


class Laptop:
    def __init__(self, world, home, env, prefix=()):
        home.mkdir()
        self.world, self.home, self.prefix = world, home, list(prefix)
        self.env = {
            "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state"),
            "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_RUNTIME_DIR": str(home), "HOOPCTL_CREDENTIAL_STORE": "file", **env,
        }

    def run(self, *argv, expect=0, **options):
        options.setdefault("timeout", 120)
        env = {**os.environ, **options.pop("env", self.env)}
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        if "input" in options:
            options.pop("stdin")
        done = subprocess.run([*self.prefix, HOOPCTL, *argv], env=env, capture_output=True, **options)
        assert done.returncode == expect, (argv, done.returncode, done.stdout[-2000:], done.stderr[-4000:])
        return done

    def json(self, *argv, **options):
        return json.loads(self.run(*argv, "-o", "json", **options).stdout)

    def login(self, user, *extra, expect=0, **browsing):
        """Logs in through headless Chromium, as a person does; returns what the last page says.
        `browsing` are browser.mjs's variables."""
        browser, log = self.home / "browser", self.home / "browser.log"
        browser.write_text(f'#!/bin/sh\nexec node {HERE}/browser.mjs "$1" {user} >{log} 2>&1\n')
        browser.chmod(0o755)
        self.env.update(BROWSER=str(browser), NODE_MODULES=str(CACHE / "node" / "node_modules"))
        env = {**self.env, **{key: str(value) for key, value in browsing.items()}}
        try:
            self.run("login", self.world.url, "--ca-file", str(self.world.state / "ca.pem"), *extra,
                     expect=expect, env=env, timeout=60)
        except subprocess.TimeoutExpired as stuck:
            raise AssertionError(log.read_text()) from stuck
        # The browser lives a little longer than the command.
        return wait_until("the browser shows how it ended", log.read_text, 20)

    def connect(self, model, *extra, name="connect"):
        """A running `connect`; returns the process and the JSON line it prints once it can serve."""
        process = self.world.processes.start(
            name, [*self.prefix, HOOPCTL, "-o", "json", "connect", model, *extra], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        line = process.stdout.readline()
        assert line, process.log.read_text()
        return process, json.loads(line)


class Machine:
    """A workload's token issuer, by a foreign JWT library."""

    def __init__(self, folder):
        self.key = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        (folder / "jwks.json").write_text(json.dumps({"keys": [{**jwk, "kid": "k1", "use": "sig", "alg": "ES256"}]}))

    IDENTITY = ('[[identity]]\nkind = "workload"\nname = "ci"\nissuer = "https://ci.example.test"\n'
                'audience = "hoopctl"\njwks = "jwks.json"\ngroups_claim = "roles"\n')

    def token(self, **claims):
        now = int(time.time())
        return jwt.encode({"iss": "https://ci.example.test", "aud": "hoopctl", "sub": "repo:acme/app", "iat": now,
                           "exp": now + 600, "roles": ["ml-users"], **claims}, self.key, "ES256", {"kid": "k1"})


@pytest.fixture
def world(tmp_path, processes):
    return World(tmp_path, processes)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    subprocess.run([python("llama"), str(HERE / "tiny_model.py"), str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def llama(processes, tiny_model, tmp_path):
    """llama.cpp's server behind nginx's TLS: (https port, tee that saw its bytes, its API key)."""
    port, key = free_port(), "backend-" + os.urandom(8).hex()
    processes.start("llama", [python("llama"), str(HERE / "llama_server.py"), str(tiny_model), str(port), key])
    wait_until("llama answers", lambda: answers(port))
    tee = Tee(port)
    folder = tmp_path / "front"
    folder.mkdir()
    return nginx_front(processes, folder, tee.port), tee, key

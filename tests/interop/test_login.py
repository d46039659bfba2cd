"""Browser login in headless Chromium, against a certified OpenID provider and against the gateway's own dev provider."""

import contextlib
import http.cookiejar
import json
import os
import pty
import re
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from conftest import CACHE, HERE, HOOPCTL, free_port, wait_until

USERS = {
    "alice": {"email": "alice@example.test", "name": "Alice A", "groups": ["ml-users", "fraud-readers"]},
    "bob": {"email": "bob@example.test", "name": "Bob B", "groups": ["guests"]},
}


def identity_provider(world):
    write_users(world, USERS)
    port, secret = free_port(), "gateway-secret-0123456789abcdef0123"
    process = world.processes.start("idp", ["node", str(HERE / "oidc-idp.mjs")], env={
        "PORT": str(port), "CLIENT_SECRET": secret, "REDIRECT_URI": f"{world.url}/login/callback",
        "USERS": str(world.folder / "users.json"), "NODE_MODULES": str(CACHE / "node" / "node_modules")})
    wait_until("the provider listens", lambda: "listening" in process.log.read_text())
    world.identity = (f'[[identity]]\nkind = "oidc"\nname = "company"\nissuer = "http://127.0.0.1:{port}"\n'
                      'client_id = "hoop-gateway"\nclient_secret = { env = "OIDC_SECRET" }\ngroups_claim = "groups"\n')
    return {"OIDC_SECRET": secret}


def write_users(world, users):
    new = world.folder / "users.new"
    new.write_text(json.dumps(users))
    new.rename(world.folder / "users.json")


def test_groups_of_the_company_reach_the_decision(world):
    env = identity_provider(world)
    world.policy('@id("readers") permit(principal in Group::"fraud-readers", action, resource);')
    world.model("fraud", "https://127.0.0.1:9")
    world.gateway(env=env)

    alice = world.laptop("alice")
    page = alice.login("alice", SHOTS=world.folder)
    assert page.startswith("http://127.0.0.1:") and "You are logged in" in page and "as alice@example.test" in page
    status = alice.json("status")
    assert status["user"] == "alice@example.test" and status["provider"] == "company"
    assert status["groups"] == ["ml-users", "fraud-readers"]
    assert [m["name"] for m in alice.json("models")] == ["fraud"]

    bob = world.laptop("bob")
    bob.login("bob")
    assert bob.json("status")["groups"] == ["guests"]
    assert bob.json("models") == []
    refused = bob.run("connect", "fraud", expect=3)
    assert b"fraud" in refused.stderr

    alice.run("logout")
    alice.run("models", expect=4)


def test_groups_follow_the_company_at_each_renewal(world):
    env = identity_provider(world)
    world.identity += '[sessions]\ncredential_life = "1m"\n'   # shorter than any command's margin: each one renews
    world.policy('@id("readers") permit(principal in Group::"fraud-readers", action, resource);')
    world.model("fraud", "https://127.0.0.1:9")
    world.gateway(env=env)
    laptop = world.laptop()
    laptop.login("alice")
    assert [m["name"] for m in laptop.json("models")] == ["fraud"]

    write_users(world, {**USERS, "alice": {**USERS["alice"], "groups": ["ml-users"]}})
    assert laptop.json("models") == []
    assert laptop.json("status")["groups"] == ["ml-users"]

    write_users(world, {"bob": USERS["bob"]})
    laptop.run("models", expect=4)


def test_who_cancels_at_the_company_is_told_so_and_not_logged_in(world):
    world.gateway(env=identity_provider(world))
    laptop = world.laptop()
    page = laptop.login("nobody", expect=4, SHOTS=world.folder)
    assert "The login did not work" in page and "Your terminal says what to do next" in page
    laptop.run("status", expect=4)


def test_the_dev_providers_page_works_in_a_browser(world):
    world.gateway()
    laptop = world.laptop()
    laptop.login("bob", SHOTS=world.folder)
    assert laptop.json("status")["groups"] == ["guests"]


def test_people_choose_among_several_providers(world):
    dev = world.identity
    env = identity_provider(world)
    world.identity += dev
    world.gateway(env=env)
    laptop = world.laptop()
    for provider, user in (("company", "alice@example.test"), ("dev", "alice")):
        laptop.login("alice", PROVIDER=provider, SHOTS=world.folder, SCHEME="dark")
        status = laptop.json("status")
        assert (status["provider"], status["user"]) == (provider, user)


def test_a_script_without_login_gets_exit_4_and_no_browser(world):
    world.gateway()
    laptop = world.laptop()
    opened = laptop.home / "opened"
    browser = laptop.home / "browser"
    browser.write_text(f"#!/bin/sh\ntouch {opened}\n")
    browser.chmod(0o755)
    laptop.env["BROWSER"] = str(browser)
    for verb in (["models"], ["status"], ["connect", "m"], ["call", "m", "/"]):
        done = laptop.run(*verb, expect=4)
        assert b"hoopctl login" in done.stderr
    assert not opened.exists()


def log_in_by_code(laptop, user, *extra, **browsing):
    """A terminal shows a code, Chromium confirms it; returns exit code, what stdout said, and the browser's last page."""
    env = {**os.environ, **laptop.env}
    terminal = subprocess.Popen(
        [HOOPCTL, "-o", "json", "login", laptop.world.url, "--ca-file", str(laptop.world.state / "ca.pem"),
         "--device", *extra],
        env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        device = next(told["device"] for told in map(json.loads, terminal.stderr) if "device" in told)
        assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", device["user_code"])
        page = subprocess.run(
            ["node", str(HERE / "browser.mjs"), device["verification_uri_complete"], user],
            env={**env, "NODE_MODULES": str(CACHE / "node" / "node_modules"), **browsing},
            capture_output=True, text=True, timeout=60)
        said, _ = terminal.communicate(timeout=60)
        return terminal.returncode, said, page.stdout + page.stderr
    finally:
        terminal.kill()


def test_a_code_is_confirmed_in_a_browser_elsewhere(world):
    dev = world.identity
    env = identity_provider(world)
    world.identity += dev
    world.gateway(env=env)
    laptop = world.laptop()

    code, said, page = log_in_by_code(laptop, "alice", PROVIDER="company", SHOTS=str(world.folder))
    assert code == 0, (said, page)
    assert "You are logged in" in page and "alice@example.test" in page
    status = json.loads(said)
    assert (status["user"], status["provider"], status["method"]) == ("alice@example.test", "company", "device")

    code, said, page = log_in_by_code(laptop, "bob", "--provider", "dev")
    assert code == 0 and json.loads(said)["user"] == "bob", (said, page)

    code, _, page = log_in_by_code(laptop, "bob", ANSWER="deny")
    assert code == 4 and "Denied" in page

    refused = laptop.run("login", world.url, "--device", "--provider", "nobody", expect=2)
    assert b"company, dev" in refused.stderr


def sign_in_without_following(world, url, user):
    """A browser on another machine: it signs in with the dev provider, and cannot show the address it is sent to."""
    class Stop(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    trust = ssl.create_default_context(cafile=str(world.state / "ca.pem"))
    browser = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=trust),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), Stop)
    login = re.search(r'name="login" value="([^"]+)"', browser.open(url).read().decode())[1]
    form = urllib.parse.urlencode({"login": login, "user": user}).encode()
    try:
        browser.open(urllib.request.Request(f"{world.url}/login/dev", form, {"Origin": world.url}))
    except urllib.error.HTTPError as redirected:
        return redirected.headers["Location"]
    raise AssertionError("the browser was not sent anywhere")


def test_what_a_browser_elsewhere_ended_on_is_pasted(world):
    world.gateway()
    laptop = world.laptop(SSH_CONNECTION="192.0.2.1 50000 192.0.2.7 22", USER="alice", BROWSER="")
    near, far = pty.openpty()
    terminal = subprocess.Popen(
        [HOOPCTL, "login", world.url, "--ca-file", str(world.state / "ca.pem"), "--no-browser"],
        env={**os.environ, **laptop.env}, stdin=far, stdout=far, stderr=far)
    os.close(far)
    seen = ""

    def read_until(pattern):
        nonlocal seen
        while not (found := re.search(pattern, seen)):
            part = os.read(near, 4096)
            assert part, seen
            seen += part.decode()
        return found

    try:
        url = read_until(r"(https://\S+/oauth2/authorize\S+)\r\n")[1]
        port = urllib.parse.urlsplit(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["redirect_uri"][0]).port
        read_until(rf"ssh -L {port}:127\.0\.0\.1:{port} alice@192\.0\.2\.7")
        read_until("paste that page")
        os.write(near, b"http://127.0.0.1:1/callback?code=x&state=y\n")
        read_until("that is not the address")
        os.write(near, sign_in_without_following(world, url, "bob").encode() + b"\n")
        read_until("logged in to .* as bob")
        assert terminal.wait(30) == 0
    finally:
        terminal.kill()
        os.close(near)
    assert laptop.json("status")["method"] == "paste"


def test_many_processes_refresh_once(world):
    world.gateway()
    laptop = world.laptop()
    laptop.login("alice")
    stored = next(path for path in (laptop.home / "state").rglob("*") if path.is_file() and stale(path))
    assert oct(stored.stat().st_mode & 0o777) == "0o600"
    before = len(laptop.json("audit", "query", "--kind", "renewal")["events"])
    assert stale(stored)
    env = {**os.environ, **laptop.env}
    running = [subprocess.Popen([HOOPCTL, "models"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE) for _ in range(20)]
    for one in running:
        _, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors
    after = len(laptop.json("audit", "query", "--kind", "renewal")["events"])
    assert after == before + 1


def stale(path):
    """Writes into a stored login that its certificate is over; false for other files."""
    with contextlib.suppress(ValueError, UnicodeDecodeError):
        held = json.loads(path.read_text())
        if isinstance(held, dict) and "refresh_token" in held:
            path.write_text(json.dumps({**held, "expires_at": "2020-01-01T00:00:00.000Z"}))
            return True
    return False

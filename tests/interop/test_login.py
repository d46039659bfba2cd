"""Browser login in headless Chromium, against a certified OpenID provider and against the gateway's own dev provider."""

import json

from conftest import CACHE, HERE, free_port, wait_until

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

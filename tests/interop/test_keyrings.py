"""Where a login is kept on a real Linux: the desktop's Secret Service, and the kernel's keyring where there is none."""

import os
import stat
import subprocess

import pytest

from conftest import Machine, wait_until


@pytest.fixture
def desktop(processes, tmp_path):
    """A session bus with GNOME's keyring on it, unlocked: the variables programs find it by."""
    home = tmp_path / "desktop"
    home.mkdir()
    bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={home}/bus", "HOME": str(home), "XDG_DATA_HOME": str(home),
           "XDG_RUNTIME_DIR": str(home)}
    processes.start("bus", ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={home}/bus"], env=bus)
    wait_until("the bus is there", (home / "bus").exists)
    keyring = processes.start("keyring", ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
                              env=bus, stdin=subprocess.PIPE)
    keyring.stdin.write(b"desktop password")
    keyring.stdin.close()
    wait_until("the keyring keeps things", lambda: secret_tool(
        bus, "store", "--label=probe", "interop", "probe", input=b"x").returncode == 0)
    return bus


def secret_tool(bus, *argv, **options):
    return subprocess.run(["secret-tool", *argv], env={**os.environ, **bus}, capture_output=True, timeout=20, **options)


def log_in(world, machine, **env):
    """A workload's login into the keyring: the flag goes before the variable that says `file`."""
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token(), **env)
    said = laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"), "--credential-store", "keyring").stderr
    del laptop.env["HOOPCTL_WORKLOAD_TOKEN"], laptop.env["HOOPCTL_CREDENTIAL_STORE"]
    return laptop, said.decode()


def gateway(world):
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    world.model("m", "https://127.0.0.1:9")
    world.gateway()
    return machine


def private_keys_below(home):
    return [path for path in home.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]


def test_the_desktop_keyring_keeps_and_forgets(world, desktop):
    bus = {"DBUS_SESSION_BUS_ADDRESS": desktop["DBUS_SESSION_BUS_ADDRESS"]}
    laptop, _ = log_in(world, gateway(world), **bus)
    assert laptop.json("status")["credential_store"] == "keyring (secret-service)"
    assert [m["name"] for m in laptop.json("models")] == ["m"], "another process logs in with what is kept"

    kept = secret_tool(desktop, "search", "--all", "service", "hoopctl").stdout
    assert kept.count(b"secret = ") == 1, "the probe is taken away again"
    assert b"PRIVATE KEY" in kept and not private_keys_below(laptop.home)

    laptop.run("logout")
    assert b"secret = " not in secret_tool(desktop, "search", "--all", "service", "hoopctl").stdout
    laptop.run("models", expect=4)


def test_without_a_desktop_the_kernel_keeps_the_key(world):
    laptop, said = log_in(world, gateway(world), DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent/bus")
    assert "kept sealed" in said and "reboot" in said
    assert laptop.json("status")["credential_store"] == "keyring (kernel) + encrypted file"
    assert [m["name"] for m in laptop.json("models")] == ["m"], "another process logs in with what is kept"

    sealed = list(laptop.home.rglob("credential.sealed"))
    assert len(sealed) == 1 and stat.S_IMODE(sealed[0].stat().st_mode) == 0o600
    assert not private_keys_below(laptop.home)

    laptop.run("logout")
    assert not sealed[0].exists()
    laptop.run("models", expect=4)

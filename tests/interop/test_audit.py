"""The audit log, verified by a foreign implementation of C2SP tlog-tiles: PyPI aics-tlog."""

import json
import pathlib
import subprocess

from conftest import HERE, Machine, python, wait_until


def verified(folder, key, *old, expect=0):
    run = subprocess.run([python("tlog"), str(HERE / "tlog_reader.py"), str(folder), key, *old],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == expect, run.stderr
    return json.loads(run.stdout) if expect == 0 else run.stderr


def test_a_foreign_implementation_accepts_the_log_and_finds_what_was_changed(world, tmp_path):
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY
    gateway = world.gateway()
    key = (world.state / "log.vkey").read_text().strip()
    auditor = world.laptop()
    auditor.run("login", world.url, "--ca-file", str(world.state / "ca.pem"), env={**auditor.env, "HOOPCTL_WORKLOAD_TOKEN": machine.token()})

    # Each query is recorded, once it shows what others did: the log grows past its first bundle.
    first = tmp_path / "first"
    auditor.run("audit", "verify", "--key", key, "--keep", str(tmp_path / "kept"))
    auditor.run("audit", "export", "--bundle", str(first))
    before = verified(first, key, str(tmp_path / "kept"))
    for _ in range(3):
        auditor.run("audit", "query")
    gateway.kill()
    gateway.wait()
    gateway.log.unlink()
    world.gateway()

    def grown():
        folder = tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}"
        auditor.run("audit", "export", "--bundle", str(folder))
        return folder if verified(folder, key, str(first / "checkpoint"))["size"] > before["size"] + 3 else None

    bundle = wait_until("the log has grown", grown)
    assert verified(bundle, key, str(first / "checkpoint"))["old"] == before["size"]

    # What lies at the gateway is the same log.
    log = world.state / "log"
    (tile,) = (log / "tile" / "entries" / "000.p").iterdir()
    assert aics_entries(tile)[: before["size"]] == (first / "events.jsonl").read_bytes().splitlines()

    # Both say of one changed byte that it is changed.
    (tile,) = (bundle / "tile" / "entries" / "000.p").iterdir()
    changed = bytearray(tile.read_bytes())
    changed[40] ^= 1
    tile.write_bytes(changed)
    verified(bundle, key, expect=1)
    refused = auditor.run("audit", "verify", "--bundle", str(bundle), "--key", key, expect=8)
    assert b"first bad index: 0:" in refused.stderr


def aics_entries(path: pathlib.Path):
    """The entries of a bundle: two bytes of length, then the entry."""
    data, entries = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:2], "big")
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries

"""Checks a folder of tiles with aics-tlog, which shares no code with hoopctl. Prints what it proved as JSON.

usage: tlog_reader.py FOLDER VKEY [OLD-CHECKPOINT]
"""

import json
import pathlib
import sys

import aics_tlog

folder, vkey = pathlib.Path(sys.argv[1]), aics_tlog.parse_vkey(sys.argv[2])


def head(path):
    note = aics_tlog.parse_note(path.read_bytes())
    verified = aics_tlog.verify_checkpoint(note, vkey, expected_origin=vkey.name)
    assert verified.ok, verified
    return verified


now = head(folder / "checkpoint")
reader = aics_tlog.FileSystemTileReader(folder)
report = aics_tlog.verified.audit_tiles(reader, now.size, now.root)
proven = {"size": now.size, "tiles": report.tiles, "bundles": report.bundles}
events = (folder / "events.jsonl").read_bytes().splitlines()
assert len(events) == now.size
for index in range(0, now.size, 7):
    proof = aics_tlog.inclusion_proof_from_tiles(reader, index, now.size)
    assert aics_tlog.verify_leaf_inclusion(events[index], index, now.size, proof, now.root), index
if len(sys.argv) > 3:
    old = head(pathlib.Path(sys.argv[3]))
    proof = aics_tlog.consistency_proof_from_tiles(reader, old.size, now.size)
    assert aics_tlog.verify_consistency(old.size, now.size, old.root, now.root, proof)
    proven["old"] = old.size
print(json.dumps(proven))

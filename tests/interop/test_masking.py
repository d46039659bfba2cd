"""The labelled documents: what leaks, what is masked that should not be. Data: tests/masking/dev.jsonl.gz, synthetic."""

import collections
import gzip
import json
import pathlib
import re
import subprocess

from conftest import HOOPCTL

DATA = pathlib.Path(__file__).parent.parent / "masking" / "dev.jsonl.gz"
# These take a language model, and are not masked without an analyser.
WITHOUT_FORM = {"PERSON", "ADDRESS"}
LABEL = re.compile(r"\[[A-Z][A-Z0-9_]*\]")
# A run of so many characters of a value counts as a leak.
RUN = 4


def documents():
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def mask(documents):
    lines = "".join(json.dumps({"id": d["id"], "text": d["text"]}) + "\n" for d in documents)
    run = subprocess.run([HOOPCTL, "--quiet", "gateway", "mask", "--jsonl"], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return {d["id"]: d["text"] for d in map(json.loads, run.stdout.splitlines())}


def survivors(document, masked):
    """Per character of the original whether it is still there: the text between labels, found again in order."""
    text, kept = document["text"], bytearray(len(document["text"]))
    cores = [tuple(span["core"]) for span in document["spans"]]
    parts, at = LABEL.split(masked), 0
    assert text.startswith(parts[0]), document["id"]
    for index, part in enumerate(parts):
        if index == len(parts) - 1:
            found = len(text) - len(part) if index else 0
            assert text.endswith(part) and found >= at, document["id"]
        else:
            found = first = 0 if index == 0 else text.find(part, at)
            # Where a short part fits several places, the first that cuts no value.
            while part and len(part) < 24 and found >= 0 and any(found < b and a < found + len(part) for a, b in cores):
                found = text.find(part, found + 1)
            found = first if found < 0 or found - first > 300 else found
            assert found >= 0, document["id"]
        kept[found : found + len(part)] = b"\1" * len(part)
        at = found + len(part)
    return kept


def longest(kept):
    return max((len(run) for run in bytes(kept).split(b"\0")), default=0)


def test_the_labelled_documents_leak_nothing_and_keep_the_rest():
    all_documents = documents()
    masked = mask(all_documents)
    values, leaks = collections.Counter(), collections.Counter()
    negatives = touched = clean = untouched = 0
    hit = missed = false = 0
    for document in all_documents:
        text, kept = document["text"], survivors(document, masked[document["id"]])
        role = ["text"] * len(text)
        for a, b in document["neutral"]:
            role[a:b] = ["neutral"] * (b - a)
        for span in document["spans"]:
            if span["type"] in WITHOUT_FORM:
                role[span["start"] : span["end"]] = ["neutral"] * (span["end"] - span["start"])
        for span in document["spans"]:
            if span["type"] in WITHOUT_FORM:
                continue
            a, b = span["core"]
            role[a:b] = ["value"] * (b - a)
            values[span["type"]] += 1
            leaks[span["type"]] += longest(kept[a:b]) >= min(RUN, b - a)
        for negative in document["negatives"]:
            a, b = negative["start"], negative["end"]
            negatives += 1
            touched += any(not kept[i] and text[i].isalnum() for i in range(a, b))
        for i, what in enumerate(role):
            if not text[i].isspace() and what != "neutral":
                hit += what == "value" and not kept[i]
                missed += what == "value" and kept[i]
                false += what == "text" and not kept[i]
        if not document["spans"]:
            clean += 1
            untouched += masked[document["id"]] == text

    assert len(values) == 53
    leaking = {kind: leaks[kind] / count for kind, count in values.items() if leaks[kind]}
    assert sum(leaking.values()) / len(values) <= 0.02, leaking
    assert touched / negatives <= 0.03
    assert untouched / clean >= 0.97
    precision, recall = hit / (hit + false), hit / (hit + missed)
    assert 2 * precision * recall / (precision + recall) >= 0.97

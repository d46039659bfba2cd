"""MLServer with a scikit-learn fraud detector (KServe V2 over HTTP), through `call` in a shell pipeline."""

import json
import os
import subprocess

import pytest

from conftest import HERE, HOOPCTL, Machine, Processes, answers, free_port, nginx_front, python, wait_until


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory):
    """MLServer behind nginx: (https port, port for gRPC, the CA's file). It takes long to start, so the tests share one."""
    folder, front = tmp_path_factory.mktemp("mlserver"), tmp_path_factory.mktemp("front")
    subprocess.run([python("kserve"), str(HERE / "fraud_model.py"), str(folder)], check=True, capture_output=True)
    port, grpc, metrics = free_port(), free_port(), free_port()
    (folder / "settings.json").write_text(json.dumps(
        {"http_port": port, "grpc_port": grpc, "metrics_port": metrics, "host": "127.0.0.1", "parallel_workers": 0}))
    processes = Processes(folder)
    try:
        processes.start("mlserver", [str(python("kserve")).replace("python", "mlserver"), "start", str(folder)], cwd=folder)
        wait_until("MLServer answers", lambda: answers(port), 120)
        yield *nginx_front(processes, front, port, grpc), f'"{front}/model-ca.pem"'
    finally:
        processes.stop()


def test_rows_go_through_a_pipe_and_come_back_as_predictions(world, mlserver):
    port, _, ca = mlserver
    world.model("fraud-detector", f"https://localhost:{port}", dialect='"kserve"', ca=ca)
    world.gateway()
    laptop = world.laptop()
    laptop.login("alice")
    rows = world.folder / "rows.json"
    rows.write_text(json.dumps({"inputs": [{"name": "tx", "shape": [2, 3], "datatype": "FP64",
                                            "data": [0.1, 0.0, 0.2, 9.0, 8.5, 9.5]}]}))
    path = "/v2/models/fraud-detector/infer"
    ready = lambda: subprocess.run([HOOPCTL, "call", "fraud-detector", "/v2/models/fraud-detector/ready"],
                                   env={**os.environ, **laptop.env}, capture_output=True).returncode == 0
    wait_until("the model is loaded", ready, 120)
    pipe = f"cat {rows} | {HOOPCTL} call fraud-detector {path} --data @- | jq -c .outputs[0].data"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], env={**os.environ, **laptop.env},
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0, 1]

    wrong = laptop.run("call", "fraud-detector", path, "--data", '{"inputs": 1}', expect=1)
    assert b"valid list" in wrong.stdout, "the model's own words are printed"


TRITON = """
import sys
import numpy as np

rows = np.array([[0.1, 0.0, 0.2], [9.0, 8.5, 9.5]])

def ask(module, **data):
    tensor = module.InferInput("tx", [2, 3], "FP64")
    tensor.set_data_from_numpy(rows, **data)
    return [tensor]

import tritonclient.http as http
client = http.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_model_ready("fraud-detector")
outputs = [http.InferRequestedOutput("predict", binary_data=False)]
assert client.infer("fraud-detector", ask(http, binary_data=False), outputs=outputs).as_numpy("predict").tolist() == [[0], [1]]

import queue
import tritonclient.grpc as grpc
client = grpc.InferenceServerClient(sys.argv[2])
assert client.is_server_live() and client.is_model_ready("fraud-detector")
assert client.infer("fraud-detector", ask(grpc)).as_numpy("predict").tolist() == [[0], [1]]
try:
    client.infer("fraud-detector", ask(grpc), model_version="9")
    raise AssertionError("there is no version 9")
except grpc.InferenceServerException as error:
    assert error.status().startswith("StatusCode."), error
arrived = queue.Queue()
client.start_stream(lambda result, error: arrived.put((result, error)))
client.async_stream_infer("fraud-detector", ask(grpc))
result, error = arrived.get(timeout=60)
# MLServer's scikit-learn runtime streams nothing: what it says of that in its one message arrives, as it does without a tunnel.
assert result is None and error.message() == "fraud-detector", (result, error)
client.stop_stream()
try:
    client.infer("somebody-elses", ask(grpc))
    raise AssertionError("policy knows the model that a gRPC request names")
except grpc.InferenceServerException as error:
    assert "PERMISSION_DENIED" in error.status(), error
"""


def test_tritonclient_asks_over_http_and_grpc(world, mlserver):
    http, grpc, ca = mlserver
    world.model("fraud-http", f"https://localhost:{http}", dialect='"kserve"', ca=ca)
    world.model("fraud-grpc", f"https://localhost:{grpc}", dialect='"kserve"', ca=ca)
    machine = Machine(world.etc)
    world.identity = Machine.IDENTITY + '[audit]\ninput = "excerpt"\n'
    world.policy("""
        @id("all") permit(principal, action, resource);
        @id("its-own") forbid(principal, action == Action::"invoke", resource)
            when { context.requested_model != "" && context.requested_model != "fraud-detector" };
    """)
    world.gateway()
    laptop = world.laptop(HOOPCTL_WORKLOAD_TOKEN=machine.token())
    laptop.run("login", world.url, "--ca-file", str(world.state / "ca.pem"))
    hosts = [laptop.connect(model, name=model)[1]["url"].removeprefix("http://") for model in ("fraud-http", "fraud-grpc")]
    ready = lambda: subprocess.run([HOOPCTL, "call", "fraud-http", "/v2/models/fraud-detector/ready"],
                                   env={**os.environ, **laptop.env}, capture_output=True).returncode == 0
    wait_until("the model is loaded", ready, 120)
    done = subprocess.run([python("kserve"), "-c", TRITON, *hosts], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-3000:]

    def inferences(model):
        events = laptop.json("audit", "query", "--model", model)["events"]
        return [event for event in events if "requested_model" in event.get("request", {})]

    over_http, = inferences("fraud-http")
    assert over_http["request"]["stream"] is False and '"tx"' in over_http["request"]["input"]
    one, missing, streamed, refused = inferences("fraud-grpc")
    assert [event["request"]["stream"] for event in (one, missing, streamed)] == [False, False, True]
    for event in (one, missing, streamed):
        assert event["request"]["requested_model"] == "fraud-detector", event
        assert event["request"]["input"] == "tx FP64 [2, 3] = 0.1 0 0.2 9 8.5 9.5", event
        assert event["response"]["outcome"] == "complete", event
    assert (refused["request"]["requested_model"], refused["decision"]["verdict"]) == ("somebody-elses", "deny")

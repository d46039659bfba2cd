"""MLServer with a scikit-learn fraud detector (KServe V2 over HTTP), through `call` in a shell pipeline."""

import json
import subprocess

import pytest

from conftest import HERE, HOOPCTL, answers, free_port, nginx_front, python, wait_until


@pytest.fixture
def mlserver(processes, tmp_path):
    folder = tmp_path / "mlserver"
    folder.mkdir()
    subprocess.run([python("kserve"), str(HERE / "fraud_model.py"), str(folder)], check=True, capture_output=True)
    port, grpc, metrics = free_port(), free_port(), free_port()
    (folder / "settings.json").write_text(json.dumps(
        {"http_port": port, "grpc_port": grpc, "metrics_port": metrics, "host": "127.0.0.1", "parallel_workers": 0}))
    processes.start("mlserver", [str(python("kserve")).replace("python", "mlserver"), "start", str(folder)], cwd=folder)
    wait_until("MLServer answers", lambda: answers(port), 120)
    front = tmp_path / "front"
    front.mkdir()
    return nginx_front(processes, front, port)


def test_rows_go_through_a_pipe_and_come_back_as_predictions(world, mlserver):
    world.model("fraud-detector", f"https://localhost:{mlserver}", dialect='"kserve"',
                ca=f'"{world.folder}/front/model-ca.pem"')
    world.gateway()
    laptop = world.laptop()
    laptop.login("alice")
    rows = world.folder / "rows.json"
    rows.write_text(json.dumps({"inputs": [{"name": "tx", "shape": [2, 3], "datatype": "FP64",
                                            "data": [0.1, 0.0, 0.2, 9.0, 8.5, 9.5]}]}))
    path = "/v2/models/fraud-detector/infer"
    ready = lambda: subprocess.run([HOOPCTL, "call", "fraud-detector", "/v2/models/fraud-detector/ready"],
                                   env={**__import__("os").environ, **laptop.env}, capture_output=True).returncode == 0
    wait_until("the model is loaded", ready, 120)
    pipe = f"cat {rows} | {HOOPCTL} call fraud-detector {path} --data @- | jq -c .outputs[0].data"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], env={**__import__("os").environ, **laptop.env},
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0, 1]

    wrong = laptop.run("call", "fraud-detector", path, "--data", '{"inputs": 1}', expect=1)
    assert b"valid list" in wrong.stdout, "the model's own words are printed"

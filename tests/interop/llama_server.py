"""llama.cpp's own HTTP server (PyPI xllamacpp) on loopback. Usage: llama_server.py MODEL.gguf PORT API-KEY"""

import signal
import sys

import xllamacpp

model, port, key = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames = ["127.0.0.1"]
params.port = int(port)
params.api_keys = [key]
params.n_ctx = 2048
params.n_parallel = 2
params.n_predict = 64
params.warmup = False
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.model_alias = {"tiny-random"}
params.use_jinja = True
params.fit_params = False
server = xllamacpp.Server(params)
print("listening", flush=True)
signal.pause()

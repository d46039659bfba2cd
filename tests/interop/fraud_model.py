"""Trains a small scikit-learn fraud detector and writes it with MLServer's settings. Usage: fraud_model.py FOLDER"""

import json
import pathlib
import sys

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(0)
honest, fraud = random.normal(0, 1, (50, 3)), random.normal(9, 1, (50, 3))
model = LogisticRegression().fit(np.vstack([honest, fraud]), [0] * 50 + [1] * 50)
joblib.dump(model, folder / "model.joblib")
(folder / "model-settings.json").write_text(json.dumps({
    "name": "fraud-detector", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"}}))

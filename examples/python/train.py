"""Train a model, publish it with what it was made of, and load it: `python train.py fraud.scoring`."""

import sys
from pathlib import Path

from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import regista

name = sys.argv[1]
X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X.astype("float32"), y, random_state=7)

with regista.capture(config={"C": 0.1}, seed=7) as run:
    model = LogisticRegression(C=0.1, max_iter=5000).fit(X, y)  # your training, unchanged
    run.train_data("biopsies-2026-02", X, y).test_data("holdout", X_test, y_test)  # hashed here, never sent
    run.metric("auc", roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]), primary=True)
    run.schema(X, model.predict(X), labels=[0, 1])

Path("model.onnx").write_bytes(to_onnx(model, X[:1]).SerializeToString())
run.save("run.json")  # for `regista publish NAME model.onnx --metadata run.json`

version = regista.publish(name, "model.onnx", run).wait()
print(f"{version.model} {version.semver}, number {version.number}, {version.stage}")

session = regista.load(f"{name}@{version.number}").session()  # once promoted: @production
print(session.run(None, {"X": X_test[:3]})[0])

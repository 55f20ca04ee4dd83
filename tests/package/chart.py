"""The chart, rendered; run as a program it writes etc/kubernetes/statefulset.yaml.

The templates are rendered by the engine and the functions that Helm has, see
render.go; values are merged and held against the schema as Helm does it.
"""

import copy
import json
import os
import pathlib
import subprocess
import tempfile

import jsonschema
import yaml

TOP = pathlib.Path(__file__).parents[2]
CHART = TOP / "etc/helm/sealpost"
STATEFULSET = TOP / "etc/kubernetes/statefulset.yaml"

_HEAD = """\
# One relay for a cluster: what the chart etc/helm/sealpost makes of
# ci/example-values.yaml.  Change hostname, networks and route, put the secrets
# into a Secret named "sealpost", and apply it: README.md tells more.
"""


def load(name):
    return yaml.safe_load((CHART / name).read_text())


def merged(base, over):
    out = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


class Renderer:
    def __init__(self, folder):
        self.program = pathlib.Path(folder) / "render"
        done = subprocess.run(
            ["go", "build", "-o", self.program, TOP / "tests/package/render.go"],
            env=os.environ
            | {
                "GO111MODULE": "off",
                "GOPATH": "/usr/share/gocode",
                "GOCACHE": str(pathlib.Path(folder) / "cache"),
                "GOFLAGS": "",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def texts(self, values, release="mail", namespace="mail"):
        """Rendered files by name; ValueError, or jsonschema's, where Helm would
        refuse."""
        values = merged(load("values.yaml"), values)
        jsonschema.Draft7Validator(
            json.loads((CHART / "values.schema.json").read_text())
        ).validate(values)
        chart = load("Chart.yaml")
        context = {
            "Values": values,
            "Chart": {key[0].upper() + key[1:]: chart[key] for key in chart},
            "Release": {"Name": release, "Namespace": namespace, "Service": "Helm"},
        }
        done = subprocess.run(
            [self.program],
            input=json.dumps({"chart": str(CHART), "context": context}),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ValueError(done.stderr)
        return json.loads(done.stdout)

    def objects(self, values, **options):
        texts = self.texts(values, **options)
        return [
            o
            for name, text in texts.items()
            if name.endswith(".yaml")
            for o in yaml.safe_load_all(text)
            if o
        ]

    def plain(self):
        """The text of statefulset.yaml, without what only Helm cares about."""
        texts = self.texts(
            load("ci/example-values.yaml"), release="sealpost", namespace="default"
        )
        names = [n for n, t in texts.items() if n.endswith(".yaml") and t.strip()]
        lines = "---\n".join(texts[n].strip() + "\n" for n in names).splitlines()
        kept = [
            line
            for line in lines
            if "helm.sh/chart:" not in line
            and "managed-by: Helm" not in line
            and "namespace: default" not in line
            and line.strip()
        ]
        return _HEAD + "\n".join(kept) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        STATEFULSET.write_text(Renderer(place).plain())

"""The chart and the manifests: rendered as Helm does, held against Kubernetes'
own schemas, and against what a cluster with strict rules demands."""

import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess

import jsonschema
import pytest
import yaml

import chart
from conftest import ELSEWHERE, TOP, run
from image import Container
from lab import npm

MODELS = {
    "kubernetes-models": "5.1.0",
    "@kubernetes-models/prometheus-operator": "6.0.0",
    "typescript": "5.6.3",
}
GOOD = {"hostname": "relay.example.com"}


@pytest.fixture(scope="module")
def renderer(tmp_path_factory):
    return chart.Renderer(tmp_path_factory.mktemp("render"))


@pytest.fixture(scope="module")
def made(renderer):
    """The objects of a release with every value at its default, with the
    example's, and with everything switched on."""
    return {
        "default": renderer.objects(GOOD),
        "example": renderer.objects(chart.load("ci/example-values.yaml")),
        "all": renderer.objects(chart.load("ci/all-values.yaml")),
        "sidecar": list(
            yaml.safe_load_all((TOP / "etc/kubernetes/sidecar.yaml").read_text())
        ),
    }


@pytest.fixture(scope="module")
def program(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    run("dpkg-deb", "-x", packages["sealpost"], folder)
    return folder / "usr/sbin/sealpost"


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    """A function: what Kubernetes would find wrong with a list of objects."""
    where = npm.install(npm.folder("sealpost-package"), MODELS)
    place = tmp_path_factory.mktemp("models")
    (place / "node_modules").symlink_to(where / "node_modules")
    script = place / "kubernetes.mjs"
    script.write_text((TOP / "tests/package/kubernetes.mjs").read_text())

    def find(objects):
        done = subprocess.run(
            ["node", "--preserve-symlinks", script],
            input=json.dumps(objects),
            capture_output=True,
            text=True,
            cwd=place,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return find


def kind(objects, name):
    return [o for o in objects if o["kind"] == name]


def pods(objects):
    return [o["spec"]["template"] for o in objects if "template" in o.get("spec", {})]


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


# --- Kubernetes' own rules ---


def test_kubernetes_knows_every_field_and_kind(made, problems):
    assert problems(list(itertools.chain(*made.values()))) == []


@pytest.mark.parametrize(
    "was, becomes",
    [('"serviceName"', '"serviceNom"'), ('"replicas": 1', '"replicas": "one"')],
)
def test_the_control_a_field_that_is_unknown_or_wrong_is_found(
    made, problems, was, becomes
):
    text = json.dumps(kind(made["default"], "StatefulSet")[0])
    assert was in text
    found = "\n".join(problems([json.loads(text.replace(was, becomes))]))
    assert becomes.split('"')[1] in found


def test_the_chart_says_what_a_chart_must():
    about = chart.load("Chart.yaml")
    assert about["apiVersion"] == "v2" and about["name"] == chart.CHART.name
    assert f" VERSION {about['appVersion']} LANG" in (TOP / "CMakeLists.txt").read_text()


# --- what a careful cluster demands ---


def test_no_pod_has_a_right_that_the_restricted_profile_forbids(made):
    for pod in itertools.chain(*(pods(o) for o in made.values())):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert spec["automountServiceAccountToken"] is False
        assert not any("hostPath" in v for v in spec["volumes"])
        for c in containers(pod):
            rights = c["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_every_container_has_limits_and_an_image_of_one_version(made):
    for pod in itertools.chain(*(pods(o) for o in made.values())):
        for c in containers(pod):
            assert c["resources"]["requests"]["cpu"]
            assert c["resources"]["limits"]["memory"]
            assert not c["image"].endswith(":latest") and ":" in c["image"]


def test_a_pod_ends_no_sooner_than_its_drain(made):
    for pod in itertools.chain(*(pods(o) for o in made.values())):
        relay = containers(pod)[0]
        words = relay["lifecycle"]["preStop"]["exec"]["command"]
        assert words[:3] == ["/usr/sbin/sealpost", "drain", "--wait"]
        wait = int(words[3].removesuffix("s"))
        assert pod["spec"]["terminationGracePeriodSeconds"] >= wait + 30


def test_volumes_ports_and_selectors_lead_somewhere(made):
    for objects in made.values():
        for pod in pods(objects):
            claims = kind(objects, "StatefulSet")
            volumes = {v["name"] for v in pod["spec"]["volumes"]}
            volumes |= {
                v["metadata"]["name"]
                for s in claims
                for v in s["spec"]["volumeClaimTemplates"]
            }
            ports = {p["name"] for c in containers(pod) for p in c.get("ports", [])}
            for c in containers(pod):
                mounted = {m["name"] for m in c.get("volumeMounts", [])}
                assert mounted <= volumes
                for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                    get = c.get(probe, {}).get("httpGet")
                    assert get is None or get["port"] in ports
            for service in kind(objects, "Service"):
                assert {p["targetPort"] for p in service["spec"]["ports"]} <= ports
                selector = service["spec"]["selector"].items()
                assert selector <= pod["metadata"]["labels"].items()
            for s in claims:
                assert s["spec"]["selector"]["matchLabels"].items() <= (
                    pod["metadata"]["labels"].items()
                )
                names = {o["metadata"]["name"] for o in kind(objects, "Service")}
                assert s["spec"]["serviceName"] in names


def test_volumes_with_mail_stay_when_pods_go(made):
    for objects in (made["default"], made["all"]):
        policy = kind(objects, "StatefulSet")[0]["spec"][
            "persistentVolumeClaimRetentionPolicy"
        ]
        assert set(policy.values()) == {"Retain"}


def test_the_sidecar_starts_first_and_lets_its_job_end(made):
    pod = pods(made["sidecar"])[0]
    relay = pod["spec"]["initContainers"][0]
    assert relay["restartPolicy"] == "Always" and "startupProbe" in relay
    environment = {e["name"]: e["value"] for e in relay["env"]}
    assert environment["SEALPOST_LISTENER__APP__ADDRESS"] == "127.0.0.1:2525"
    assert environment["SEALPOST_HTTP__ADDRESS"] == "", "the application is no operator"


# --- what the relay makes of it ---


def checked(program, folder, text=None, **variables):
    words = [program, "check"]
    if text is not None:
        conf = folder / "sealpost.conf"
        conf.write_text(text)
        words += ["-c", conf]
    variables = {"STATE_DIRECTORY": str(folder), "PATH": "/usr/bin"} | variables
    return run(*words, env=variables)


def config_of(objects):
    return kind(objects, "ConfigMap")[0]["data"]["sealpost.conf"]


@pytest.fixture
def secrets(tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name in ("http.token", "route.provider.password", "password"):
        (folder / name).write_text("0123456789abcdef0123456789abcdef\n")
        (folder / name).chmod(0o440)
    return folder


def test_the_relay_takes_the_configuration_of_a_default_release(
    made, program, tmp_path
):
    out = checked(program, tmp_path, config_of(made["default"]))
    assert 'networks = {"127.0.0.0/8", "::1/128"}' in out, "nobody else may relay"


def test_the_relay_takes_the_example_with_the_secret_as_credentials(
    made, program, tmp_path, secrets
):
    out = checked(
        program,
        tmp_path,
        config_of(made["example"]),
        CREDENTIALS_DIRECTORY=str(secrets),
    )
    assert '"10.0.0.0/8"' in out and "route.provider.password" in out


def test_the_relay_takes_the_environment_of_the_sidecar(
    made, program, tmp_path, secrets
):
    relay = pods(made["sidecar"])[0]["spec"]["initContainers"][0]
    variables = {e["name"]: e["value"] for e in relay["env"]}
    variables["RELAYHOST_PASSWORD_FILE"] = str(secrets / "password")
    out = checked(program, tmp_path, **variables)
    assert '"smtp.provider.example:587"' in out


# --- a pod, as far as one machine can be a cluster ---


class Pod:
    """The first container of a StatefulSet's pod, started by hand."""

    def __init__(self, objects, image, volume, namespace, secrets, folder):
        self.spec = containers(pods(objects)[0])[0]
        conf = folder / "mounted.conf"
        conf.write_text(config_of(objects))
        conf.chmod(0o644)
        os.chown(secrets, 0, 65532)
        for secret in secrets.iterdir():
            os.chown(secret, 0, 65532)
        self.container = Container(
            image,
            "65532:65532",
            volume,
            {e["name"]: e["value"] for e in self.spec["env"]},
            namespace,
            {"/etc/sealpost/sealpost.conf": conf, "/run/secrets/sealpost": secrets},
        )
        self.namespace = namespace

    def get(self, path, token=None):
        """As kubelet and Prometheus ask: at the pod's address."""
        (port,) = [
            p["containerPort"] for p in self.spec["ports"] if p["name"] == "http"
        ]
        header = ["-H", f"Authorization: Bearer {token}"] if token else []
        return run(
            "ip", "netns", "exec", self.namespace, "curl", "-s", "-o", "/dev/null",
            "-w", "%{http_code}", *header, f"http://{ELSEWHERE}:{port}{path}",
        )  # fmt: skip


@pytest.fixture
def pod(made, image, volume, namespace, secrets, tmp_path):
    p = Pod(made["example"], image, volume, namespace, secrets, tmp_path)
    p.container.wait_until_healthy()
    yield p
    p.container.kill()


def test_the_probes_of_a_pod_succeed_and_metrics_want_the_token(pod):
    for probe in ("livenessProbe", "readinessProbe"):
        assert pod.get(pod.spec[probe]["httpGet"]["path"]) == "200", probe
    assert pod.get("/metrics") == "401"
    assert pod.get("/metrics", "0123456789abcdef0123456789abcdef") == "200"


def test_a_pod_that_has_to_go_is_not_ready_and_ends_well(pod):
    done = pod.container.execute(*pod.spec["lifecycle"]["preStop"]["exec"]["command"])
    assert done.returncode == 0, done
    assert pod.get("/readyz") == "503"
    assert pod.get("/livez") == "200"
    code, out = pod.container.stop()
    assert code == 0, out


# --- values ---


def test_the_plain_manifest_is_what_the_chart_makes(renderer):
    assert chart.STATEFULSET.read_text() == renderer.plain(), (
        "run tests/package/chart.py"
    )


def test_what_is_switched_off_is_not_made(renderer):
    kinds = {o["kind"] for o in renderer.objects(GOOD)}
    assert not {"ServiceMonitor", "PrometheusRule"} & kinds
    off = {"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}}
    kinds = {o["kind"] for o in renderer.objects(GOOD | off)}
    assert kinds == {"ConfigMap", "Service", "StatefulSet"}


def test_the_rules_are_those_of_prometheus_alerts(made):
    rule = kind(made["all"], "PrometheusRule")[0]
    alerts = yaml.safe_load((TOP / "etc/prometheus/alerts.yaml").read_text())
    assert rule["spec"] == alerts


def test_a_change_of_configuration_rolls_the_pods(renderer):
    sums = set()
    for config in ("", 'mode = "sink"'):
        pod = pods(renderer.objects(GOOD | {"config": config}))[0]
        sums.add(pod["metadata"]["annotations"]["checksum/config"])
    assert len(sums) == 2


BAD = {
    "no hostname": {},
    "a hostname without a dot": {"hostname": "relay"},
    "a word that is no value": GOOD | {"replica": 3},
    "a word that is no value below": GOOD | {"service": {"prot": 25}},
    "a network without its length": GOOD | {"networks": ["10.0.0.1"]},
    "everybody as a network": GOOD | {"networks": ["0.0.0.0/0"]},
    "a volume that several pods share": GOOD
    | {"persistence": {"accessModes": ["ReadWriteMany"]}},
    "http without a token": GOOD | {"http": {"enabled": True}},
    "metrics without http": GOOD
    | {"credentials": "s", "serviceMonitor": {"enabled": True}},
    "a number as text": GOOD | {"replicas": "two"},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_the_schema_refuses(renderer, values):
    with pytest.raises(jsonschema.ValidationError):
        renderer.texts(values)


def test_every_value_has_its_place_in_the_schema():
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)

    def compare(values, schema, path):
        for key, value in values.items():
            assert key in schema["properties"], path + [key]
            below = schema["properties"][key]
            if isinstance(value, dict) and "properties" in below:
                compare(value, below, path + [key])

    compare(chart.load("values.yaml"), schema, [])


def test_the_notes_tell_who_may_relay(renderer):
    assert "No network may relay yet" in renderer.texts(GOOD)["NOTES.txt"]
    notes = renderer.texts(GOOD | {"networks": ["10.0.0.0/8"]})["NOTES.txt"]
    assert "No network" not in notes


def test_every_value_is_told_in_the_readme():
    text = (chart.CHART / "README.md").read_text()
    for key in chart.load("values.yaml"):
        assert f"`{key}" in text, key
    assert pathlib.Path(chart.CHART / "files/alerts.yaml").resolve() == (
        TOP / "etc/prometheus/alerts.yaml"
    )


def test_the_command_of_the_readme_makes_a_release(renderer, tmp_path):
    text = (chart.CHART / "README.md").read_text()
    (command,) = re.findall(r"^(helm install .*?[^\\])\n", text, re.M | re.S)
    words = shlex.split(command.replace("\\\n", ""))
    assert (TOP / words[3]) == chart.CHART
    values = {}
    for flag, word in zip(words, words[1:]):
        key, _, value = word.partition("=")
        if flag == "--set":
            is_list = value.startswith("{")
            values[key] = value.strip("{}").split(",") if is_list else value
        elif flag == "--set-file":
            values[key] = chart.load("ci/example-values.yaml")[key]
    assert {"hostname", "networks", "credentials", "config"} == values.keys()
    names = {o["metadata"]["name"] for o in renderer.objects(values, release=words[2])}
    (exec_at,) = set(re.findall(r"kubectl exec (\S+)-2 ", text))
    assert exec_at in names

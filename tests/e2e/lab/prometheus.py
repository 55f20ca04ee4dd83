"""Debian's Prometheus, which scrapes relays every second."""

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from .net import address
from .patience import PATIENCE


class Prometheus:
    def __init__(self, targets, token_file, rules):
        """targets: "address:port"; rules: files."""
        self._folder = tempfile.TemporaryDirectory(prefix="prometheus-")
        self.url = f"http://{address()}:9090"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(r) for r in rules],
            "scrape_configs": [
                {
                    "job_name": "sealpost",
                    "authorization": {"credentials_file": str(token_file)},
                    "static_configs": [{"targets": targets}],
                }
            ],
        }
        file = f"{self._folder.name}/prometheus.yaml"
        with open(file, "w") as f:
            yaml.safe_dump(config, f)
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={self._folder.name}/data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=warn",
            ],
            stderr=self._errors,
        )

    def _get(self, path, **params):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """[(labels, value)]; an error says what Prometheus has against it."""
        try:
            got = self._get("query", query=expression)
        except urllib.error.HTTPError as e:
            if e.code == 503:  # it is starting
                raise
            raise AssertionError(f"{expression}: {json.load(e)['error']}") from None
        return [(r["metric"], float(r["value"][1])) for r in got["result"]]

    def rules(self):
        return [r for g in self._get("rules")["groups"] for r in g["rules"]]

    def alerts(self):
        return self._get("alerts")["alerts"]

    def until(self, wanted):
        """Calls `wanted` until it gives something; Prometheus may not be there
        yet."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if got := wanted():
                    return got
            except urllib.error.URLError:
                assert self._process.poll() is None, self.errors()
            assert time.monotonic() < end, self.errors()
            time.sleep(0.1)

    def errors(self):
        self._errors.seek(0)
        return self._errors.read()

    def close(self):
        self._process.terminate()
        self._process.wait(15)
        self._folder.cleanup()

"""Scripts for clusters are scripts."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from shardplan.studies.scripts import SCRIPTS

NAMES = ["study.toml", "my 'odd' $study.toml"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["local", "slurm"])
def test_a_shell_reads_it(kind: str, name: str) -> None:
    text = SCRIPTS[kind](name, "my results", 4)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert text.startswith("#!/bin/bash\n")
    assert ("#SBATCH" in text) == (kind == "slurm")


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_reads_it(name: str) -> None:
    found = list(yaml.safe_load_all(SCRIPTS["kubernetes"](name, "out", 4)))
    assert [one["kind"] for one in found] == ["Service", "Pod", "Deployment", "Job"]
    assert found[2]["spec"]["replicas"] == 4
    [container] = found[3]["spec"]["template"]["spec"]["containers"]
    assert container["args"][3:6] == [name, "-o", "out"]

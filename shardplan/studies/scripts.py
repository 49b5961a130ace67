"""Scripts that run a study on a cluster: a Dask scheduler, workers, and the study."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SHELL = """\
#!/bin/bash
{head}set -euo pipefail
workers={workers}
mkdir -p {folder}.dask
file={folder}.dask/scheduler-$$.json
dask scheduler --port 0 --no-dashboard --scheduler-file "$file" &
scheduler=$!
trap 'kill $scheduler 2>/dev/null; rm -f "$file"' EXIT
until [ -s "$file" ]; do sleep 1; done
{start} dask worker --scheduler-file "$file" --nthreads 1 \\
  --nworkers "$workers" --no-dashboard &
read_address='import json, sys; print(json.load(sys.stdin)["address"])'
address=$(python3 -c "$read_address" <"$file")
shardplan study run {study} -o {folder} --scheduler "$address" --progress plain
"""
_SLURM = """\
#SBATCH --job-name=shardplan-study
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={workers}
#SBATCH --time=04:00:00
"""
_KUBERNETES = """\
# Edit image, storage and counts. The image needs: pip install 'shardplan[study]'
apiVersion: v1
kind: Service
metadata:
  name: shardplan-scheduler
spec:
  selector:
    app: shardplan-scheduler
  ports:
    - port: 8786
---
apiVersion: v1
kind: Pod
metadata:
  name: shardplan-scheduler
  labels:
    app: shardplan-scheduler
spec:
  containers:
    - name: scheduler
      image: shardplan:latest
      args: [dask, scheduler, --port, "8786", --no-dashboard]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shardplan-worker
spec:
  replicas: {workers}
  selector:
    matchLabels:
      app: shardplan-worker
  template:
    metadata:
      labels:
        app: shardplan-worker
    spec:
      containers:
        - name: worker
          image: shardplan:latest
          args: [dask, worker, "tcp://shardplan-scheduler:8786", --nthreads, "1"]
          resources:
            requests:
              cpu: "1"
              memory: 1Gi
---
apiVersion: batch/v1
kind: Job
metadata:
  name: shardplan-study
spec:
  backoffLimit: 4 # a run that is started again goes on
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: study
          image: shardplan:latest
          workingDir: /study
          args:
            - shardplan
            - study
            - run
            - {study}
            - -o
            - {folder}
            - --scheduler=tcp://shardplan-scheduler:8786
            - --progress=plain
          volumeMounts:
            - name: study
              mountPath: /study
      volumes:
        - name: study
          persistentVolumeClaim:
            claimName: shardplan-study
"""


def local_script(study: str, folder: str, workers: int) -> str:
    """Return a shell script for one machine."""
    return _shell(study, folder, workers, "", "")


def slurm_script(study: str, folder: str, workers: int) -> str:
    """Return a batch script for SLURM: workers on four hosts, one per core."""
    return _shell(study, folder, workers, _SLURM.format(workers=workers), "srun")


def kubernetes_script(study: str, folder: str, workers: int) -> str:
    """Return objects for Kubernetes; the study and its results lie in a volume."""
    import json

    return _KUBERNETES.format(
        study=json.dumps(study), folder=json.dumps(folder), workers=workers
    )


SCRIPTS: dict[str, Callable[[str, str, int], str]] = {
    "local": local_script,
    "slurm": slurm_script,
    "kubernetes": kubernetes_script,
}
"""By the name of a kind of cluster."""


def _shell(study: str, folder: str, workers: int, head: str, start: str) -> str:
    return _SHELL.format(
        study=shlex.quote(study),
        folder=shlex.quote(folder),
        workers=workers,
        head=head,
        start=start,
    ).replace("\n dask worker", "\ndask worker")

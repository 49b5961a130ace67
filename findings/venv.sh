# Sourced by the scripts: a temporary folder $work that is removed at the end, and environments in it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# environment NAME PACKAGE==VERSION ...: makes $work/NAME with pinned packages.
environment() {
  local folder="$work/$1"
  shift
  "${PYTHON:-python3}" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
}

# torchrec NAME: TorchRec 1.9.2 with the newest FBGEMM that has a build of torch for CPUs; its own pins ask for GPUs.
torchrec() {
  environment "$1" torch==2.13.0 tensordict==0.15.3 torchmetrics==1.9.0 pyre-extensions==0.0.32 \
    iopath==0.1.10 tqdm==4.70.1 numpy==2.4.6
  "$work/$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps torchrec==1.9.2 fbgemm-gpu-cpu==1.8.0 >&2
}

#!/bin/sh
# Install Chromium and its driver, unless they are there; only root can, and only with apt.
set -eu
has() { command -v "$1" >/dev/null 2>&1; }
wanted=
has chromium || has chromium-browser || has google-chrome || wanted=chromium
has chromedriver || wanted="$wanted chromium-driver"
[ -z "$wanted" ] && exit 0
has apt-get && [ "$(id -u)" = 0 ] || exit 1
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # names of packages
apt-get install -y -qq --no-install-recommends $wanted fonts-dejavu-core >/dev/null

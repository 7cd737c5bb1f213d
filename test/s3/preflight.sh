#!/usr/bin/env bash
# Installs the S3 clients that test/s3 runs, where they can be had: from Debian as root, and from PyPI into a folder of
# their own. What cannot be installed is no error: test/run.mjs leaves its tests out and prints how many those are.
set -uo pipefail

venv="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/granary/s3-clients"

debian=()
need() {
  local package=$1 program=$2
  if ! command -v "$program" >/dev/null; then debian+=("$package"); fi
}
need s3cmd s3cmd
need rclone rclone
need restic restic
need s3fs s3fs
need fuse3 fusermount3
need openssl openssl

if ((${#debian[@]} > 0)); then
  if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "s3 preflight: installing with apt-get: ${debian[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 || echo "s3 preflight: apt-get update failed" >&2
    # One by one: one that cannot be had must not keep the others away.
    for package in "${debian[@]}"; do
      apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "s3 preflight: $package could not be installed" >&2
    done
  else
    echo "s3 preflight: not found: ${debian[*]}. As root, type: apt-get install -y ${debian[*]}" >&2
  fi
fi

# The newest of PyPI, whatever version of them the machine has of its own.
works() { "$venv/bin/aws" --version >/dev/null 2>&1 && "$venv/bin/python" -c 'import boto3' 2>/dev/null; }
if ! works; then
  echo "s3 preflight: installing awscli and boto3 from PyPI into $venv" >&2
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  if ! python3 -m venv "$venv" 2>/dev/null && [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get install -y -qq --no-install-recommends python3-venv >/dev/null && python3 -m venv "$venv"
  fi
  if [[ -x "$venv/bin/pip" ]]; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check awscli boto3 >&2 || echo "s3 preflight: pip failed" >&2
  fi
  works || echo "s3 preflight: aws-cli and boto3 could not be installed" >&2
fi
exit 0

#!/usr/bin/env bash
# Everything that a real Ceph cluster is needed for: the tests of test/ceph, csi-sanity on RBD and on CephFS, the tests of
# S3 clients with the cluster's RGW as the object engine, and the quick benchmark. On a cluster of its own, which it takes away again; or on a running one (ceph-cluster.sh says how).
#   test/ci/ceph.sh [tests|sanity|clients|bench]...   all of them, when none is named
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=test/ci/ceph-cluster.sh
source test/ci/ceph-cluster.sh

if [[ $EUID -ne 0 ]]; then
  echo "ceph: needs root, for mounts and devices; run this as root" >&2
  exit 1
fi
parts=("$@")
((${#parts[@]})) || parts=(tests sanity clients bench)
trap take_cluster_away EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

use_cluster ceph || { status=$?; [[ $status -eq 3 ]] && exit 0; exit "$status"; }
[[ -f dist/src/main.js ]] || npm run -s build
for part in "${parts[@]}"; do
  echo "ceph: $part, $(date -u +%T)"
  case $part in
    tests) node node_modules/vitest/vitest.mjs run --config test/ceph/vitest.config.ts --configLoader runner ;;
    sanity) bash test/ci/csi-sanity.sh rbd cephfs ;;
    clients) GRANARY_TEST_OBJECT_ENGINE=s3 node test/run.mjs --testTimeout 180000 --hookTimeout 180000 test/s3/client- ;;
    bench) node dist/test/bench/ceph.js --quick ;;
    *) echo "ceph: no part $part; there are tests, sanity, clients, bench" >&2; exit 2 ;;
  esac
done
echo "ceph: passed, $(date -u +%T)"

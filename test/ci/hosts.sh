#!/usr/bin/env bash
# The tests of test/hosts: virtual machines as nodes, this machine as the controller, and a Ceph cluster of its own or a
# running one (ceph-cluster.sh says how). The machines' roots are this machine's own, read-only. What tests are given:
#   GRANARY_TEST_CEPH_ENV      the cluster's env file (test/ceph/cluster-env.ts)
#   GRANARY_TEST_NODE_VM       the program that boots machines: up NAME, run NAME -- COMMAND, down NAME
#   GRANARY_TEST_HOST_PREFIX   what names of machines start with: all of these are ended with this shell
#   NODE_VM_LOOPBACK           set for it: the cluster's ports are the machines' own too
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=test/ci/ceph-cluster.sh
source test/ci/ceph-cluster.sh

if [[ $EUID -ne 0 ]]; then
  echo "hosts: needs root; run this as root" >&2
  exit 1
fi
vm=$(realpath -m "${GRANARY_NODE_VM:-../shared/tools/node-vm.sh}")
if [[ ! -x $vm ]]; then
  echo "hosts: LEFT OUT, nothing of it is tested: there is no $vm to boot virtual machines with (GRANARY_NODE_VM names one)" >&2
  exit 0
fi
export GRANARY_TEST_NODE_VM=$vm GRANARY_TEST_HOST_PREFIX=granary-$$-

clean_up() {
  local name
  "$vm" list | awk '{ print $1 }' | while read -r name; do
    [[ $name == "$GRANARY_TEST_HOST_PREFIX"* ]] && "$vm" down "$name"
  done || true
  take_cluster_away
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

use_cluster hosts || { status=$?; [[ $status -eq 3 ]] && exit 0; exit "$status"; }
# The first monitor port starts a block of 110.
from=${CEPH_MON_ADDRS#*:}
from=${from#*:}
from=${from%%,*}
export NODE_VM_LOOPBACK=$from-$((from + 109))
[[ -f dist/src/main.js ]] || npm run -s build
node node_modules/vitest/vitest.mjs run --config test/hosts/vitest.config.ts --configLoader runner
echo "hosts: passed"

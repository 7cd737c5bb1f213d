# Sourced by the stages that need a Ceph cluster, after `set -euo pipefail` and from the project's folder.
# `use_cluster STAGE` starts one of its own and has it taken away, data and all, when the shell ends; or it takes the
# running one whose env file GRANARY_TEST_CEPH_ENV names, and leaves that as it is. Then that file is sourced, and
# GRANARY_TEST_CEPH_ENV is exported; GRANARY_TEST_CEPH_TOOL too where the cluster is our own: its daemons may be killed.
# It fails (status 3) where there is neither a cluster nor the tool that starts one.
# shellcheck shell=bash

cluster_dir=

# The first of a block of 110 ports of which none that a monitor or the gateway needs is taken.
free_ports() {
  local base port
  for ((base = 24300; base < 32000; base += 200)); do
    for port in 0 1 2 10; do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$((base + port))") 2>/dev/null || continue 2
    done
    echo "$base"
    return
  done
  return 1
}

take_cluster_away() {
  [[ -n $cluster_dir ]] || return 0
  CEPH_DEV_DIR=$cluster_dir "$GRANARY_TEST_CEPH_TOOL" down --purge || echo "ceph: the cluster in $cluster_dir could not be taken away" >&2
  cluster_dir=
}

use_cluster() {
  local stage=$1 tool
  if [[ -n ${GRANARY_TEST_CEPH_ENV-} ]]; then
    [[ -r $GRANARY_TEST_CEPH_ENV ]] || { echo "$stage: GRANARY_TEST_CEPH_ENV names $GRANARY_TEST_CEPH_ENV, which cannot be read" >&2; return 1; }
    echo "$stage: on the running cluster of $GRANARY_TEST_CEPH_ENV; its daemons are left alone"
  else
    tool=$(realpath -m "${GRANARY_CEPH_DEV:-../shared/tools/ceph-dev.sh}")
    if [[ ! -x $tool ]]; then
      cat >&2 <<END
########################################################################################################################
$stage: LEFT OUT, nothing of it is tested. There is no $tool to start a Ceph cluster with.
  GRANARY_CEPH_DEV names such a program: \`up\`, \`env\`, \`down --purge\`, \`kill DAEMON\`, \`start DAEMON\`, with its
  state in the folder CEPH_DEV_DIR and its ports from CEPH_DEV_PORT on.
  Or GRANARY_TEST_CEPH_ENV names a file of shell exports that describe a running cluster for tests: the variables in
  test/ceph/cluster-env.ts.
########################################################################################################################
END
      return 3
    fi
    # Short: the paths of unix sockets lie in it.
    cluster_dir=$(mktemp -d /tmp/granary-ceph.XXXXXX) || return 1
    export GRANARY_TEST_CEPH_TOOL=$tool
    # `|| return`: a caller that asks for the status has switched off -e in here.
    CEPH_DEV_PORT=$(free_ports) || return 1
    export CEPH_DEV_PORT
    echo "$stage: starting a cluster in $cluster_dir, ports from $CEPH_DEV_PORT on"
    CEPH_DEV_DIR=$cluster_dir "$tool" up || return 1
    export GRANARY_TEST_CEPH_ENV=$cluster_dir/env
  fi
  # shellcheck disable=SC1090
  source "$GRANARY_TEST_CEPH_ENV"
}

#!/usr/bin/env bash
# Runs csi-sanity against `granary up`, for mount and for block access, each time on a fresh pool.
#   test/ci/csi-sanity.sh [local|rbd|cephfs]...   local, when none is named
# On the local engine v5.4.0 and the newest release; on Ceph the newest, through StorageClass parameters, on the cluster
# whose env file GRANARY_TEST_CEPH_ENV names. Needs root and Go; without Go it says so and succeeds.
# Optional: CSI_SANITY_BIN, a folder that keeps the built programs between runs; CSI_SANITY_TMP, where pools are made.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v go >/dev/null; then
  echo "csi-sanity: left out, because Go is not installed (apt-get install golang-go)"
  exit 0
fi
if [[ $EUID -ne 0 ]]; then
  echo "csi-sanity: needs root, for loop devices and mounts; run this as root" >&2
  exit 1
fi
[[ -f dist/src/main.js ]] || npm run -s build

work=$(mktemp -d "${CSI_SANITY_TMP:-/var/tmp}/granary-sanity.XXXXXX")
bin=${CSI_SANITY_BIN:-$work/bin}
server=
place=

# Ends our server and no other process. Fails if it had to be killed.
stop_server() {
  [[ -n $server ]] || return 0
  local pid=$server tries
  server=
  kill -TERM "$pid" 2>/dev/null || true
  for ((tries = 0; tries < 300; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$pid" 2>/dev/null; then
    echo "csi-sanity: granary up did not end within 30 s of SIGTERM" >&2
    kill -KILL "$pid"
    wait "$pid" || true
    return 1
  fi
  wait "$pid" || true
}

cleanup() {
  local target device
  stop_server || true
  [[ -z $place ]] || node dist/test/ceph/place-cli.js remove "$place" || true
  # Deepest first; only what lies under our own folder.
  while read -r target; do
    [[ $target == "$work"/* ]] && umount "$target"
  done < <(findmnt -rno TARGET | sort -r) || true
  while read -r device; do
    losetup -d "$device"
  done < <(losetup -nO NAME,BACK-FILE --raw | awk -v under="$work/" 'index($2, under) == 1 { print $1 }') || true
  # Never across a mount: a volume that would not unmount keeps its files.
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_version() {
  local version=$1
  [[ -x $bin/$version/csi-sanity ]] && return 0
  mkdir -p "$bin/$version"
  GOBIN=$bin/$version go install "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@$version"
}

start_server() {
  local pool=$1 tries
  node dist/src/main.js up --data-dir "$pool/data" --csi-endpoint "unix://$pool/csi.sock" \
    "${@:2}" >"$pool/up.log" 2>&1 &
  server=$!
  for ((tries = 0; tries < 300; tries++)); do
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    if [[ -S $pool/csi.sock ]] && grep -qi ready "$pool/up.log"; then return 0; fi
    sleep 0.1
  done
  echo "csi-sanity: granary up ended, or was not ready within 30 s; its log:" >&2
  cat "$pool/up.log" >&2
  return 1
}

# A place of its own on the cluster: the suite takes every volume that it sees for its own.
make_place() {
  local engine=$1 pool=$2
  place=sanity-$$-$engine
  node dist/test/ceph/place-cli.js make "$place" "$pool/config.yaml"
  printf 'cluster: main\n' >"$pool/parameters.yaml"
  [[ $engine != cephfs ]] || printf 'kind: shared\n' >>"$pool/parameters.yaml"
}

run_suite() {
  local engine=$1 version=$2 access=$3 pool="$work/$1-$2-$3" status=0 left_out=() flags=() parameters=()
  # v5.4.0 predates the GET_SNAPSHOT capability and fails on any driver that has it; the newest release checks it.
  # The whole name: GroupControllerGetCapabilities has a case of the same words, and must run.
  [[ $version != v5.4.0 ]] || left_out=(-ginkgo.skip 'Controller Service \[Controller Server\] ControllerGetCapabilities should return appropriate capabilities')
  mkdir -p "$pool"
  export GRANARY_S3_ENABLED=true
  if [[ $engine != local ]]; then
    GRANARY_S3_ENABLED=false
    make_place "$engine" "$pool"
    flags=(--config "$pool/config.yaml" --metrics-address 127.0.0.1:0)
    parameters=(-csi.testvolumeparameters "$pool/parameters.yaml")
  fi
  start_server "$pool" "${flags[@]}"
  "$bin/$version/csi-sanity" \
    -csi.endpoint "unix://$pool/csi.sock" \
    -csi.mountdir "$pool/target" \
    -csi.stagingdir "$pool/staging" \
    -csi.testvolumeaccesstype "$access" \
    -csi.testvolumesize $((1 << 30)) \
    -csi.testvolumeexpandsize $((2 << 30)) \
    -csi.junitfile "$pool/junit.xml" \
    "${parameters[@]}" "${left_out[@]}" \
    -ginkgo.no-color >"$pool/sanity.log" 2>&1 || status=$?
  [[ ! -f $pool/junit.xml ]] || node test/ci/csi-sanity-report.mjs "$pool/junit.xml" "$version" "$access" "$engine" || status=1
  if ((status != 0)) || [[ ! -f $pool/junit.xml ]]; then
    echo "csi-sanity $engine $version $access FAILED (exit $status); the suite's output, then the end of granary's log:" >&2
    cat "$pool/sanity.log" >&2
    tail -n 60 "$pool/up.log" >&2
    return 1
  fi
  stop_server
  if [[ -n $place ]]; then
    node dist/test/ceph/place-cli.js remove "$place"
    place=
  fi
}

engines=("$@")
((${#engines[@]})) || engines=(local)
for engine in "${engines[@]}"; do
  case $engine in
    local) versions=(v5.4.0 latest) accesses=(mount block) ;;
    rbd) versions=(latest) accesses=(mount block) ;;
    # A shared volume is a file system: it has no block access.
    cephfs) versions=(latest) accesses=(mount) ;;
    *) echo "csi-sanity: no engine $engine; there are local, rbd, cephfs" >&2; exit 2 ;;
  esac
  for version in "${versions[@]}"; do
    install_version "$version"
    echo "csi-sanity $version is $(go version -m "$bin/$version/csi-sanity" | awk '$1 == "mod" { print $3 }')"
    for access in "${accesses[@]}"; do run_suite "$engine" "$version" "$access"; done
  done
done

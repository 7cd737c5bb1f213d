#!/usr/bin/env bash
# Runs csi-sanity (v5.4.0 and the newest release) against `granary up`, each time on a fresh pool, for mount and for
# block access. Needs root and Go; without Go it says so and succeeds.
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
  node dist/src/main.js up --data-dir "$pool/data" --csi-endpoint "unix://$pool/csi.sock" >"$pool/up.log" 2>&1 &
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

run_suite() {
  local version=$1 access=$2 pool="$work/$1-$2" status=0 left_out=()
  # v5.4.0 predates the GET_SNAPSHOT capability and fails on any driver that has it; the newest release checks it.
  # The whole name: GroupControllerGetCapabilities has a case of the same words, and must run.
  [[ $version != v5.4.0 ]] || left_out=(-ginkgo.skip 'Controller Service \[Controller Server\] ControllerGetCapabilities should return appropriate capabilities')
  mkdir -p "$pool"
  start_server "$pool"
  "$bin/$version/csi-sanity" \
    -csi.endpoint "unix://$pool/csi.sock" \
    -csi.mountdir "$pool/target" \
    -csi.stagingdir "$pool/staging" \
    -csi.testvolumeaccesstype "$access" \
    -csi.testvolumesize $((1 << 30)) \
    -csi.testvolumeexpandsize $((2 << 30)) \
    -csi.junitfile "$pool/junit.xml" \
    "${left_out[@]}" \
    -ginkgo.no-color >"$pool/sanity.log" 2>&1 || status=$?
  [[ ! -f $pool/junit.xml ]] || node test/ci/csi-sanity-report.mjs "$pool/junit.xml" "$version" "$access" || status=1
  if ((status != 0)) || [[ ! -f $pool/junit.xml ]]; then
    echo "csi-sanity $version $access FAILED (exit $status); the suite's output, then the end of granary's log:" >&2
    cat "$pool/sanity.log" >&2
    tail -n 60 "$pool/up.log" >&2
    return 1
  fi
  stop_server
}

for version in v5.4.0 latest; do
  install_version "$version"
  echo "csi-sanity $version is $(go version -m "$bin/$version/csi-sanity" | awk '$1 == "mod" { print $3 }')"
  for access in mount block; do run_suite "$version" "$access"; done
done

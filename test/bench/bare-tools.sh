#!/usr/bin/env bash
# What a person would type to have an ext4 volume mounted in a pod's folder: the tools alone, one after the other.
#   bare-tools.sh up   FOLDER STAGING TARGET SIZE_BYTES [RECORDS]
#   bare-tools.sh down FOLDER STAGING TARGET [RECORDS]
# It holds the same promises on disk as the driver's image does (file, its folder and the folder above are synced), the
# same loop device options and the same mkfs options, and blkid before mkfs. It checks with e2fsck as the driver does.
# It does not hold what only a driver needs: the registry's commits, the intent and format records, the proof that the
# device is this volume's and reads as blank, and the answer over a socket. The ratio shows what those cost.
# With RECORDS, a folder, it also keeps a note of each step that the driver keeps one of, as durably as a shell can: what
# a script would need that must not lose or double a volume when it is killed.
set -euo pipefail
action=$1 folder=$2 staging=$3 target=$4

# A durable note: written beside, synced, moved into its place, and the folder synced.
note() {
  [[ -n $records ]] || return 0
  printf '%s\n' "$2" >"$records/$1.tmp"
  sync "$records/$1.tmp"
  mv "$records/$1.tmp" "$records/$1"
  sync "$records"
}

up() {
  local size=$1 device found=0
  note volume "to be made"
  mkdir "$folder"
  truncate --size "$size" "$folder/image"
  sync "$folder/image" "$folder" "${folder%/*}"
  note volume "made"
  note volume "published"
  device=$(losetup --find --show --direct-io=on --sector-size 4096 "$folder/image")
  blkid -p -o export "$device" || found=$?
  if [[ $found -ne 2 ]]; then
    echo "bare-tools: blkid answered $found for a new image" >&2
    exit 1
  fi
  note format "to be made"
  mkfs.ext4 -F -q -U "$(</proc/sys/kernel/random/uuid)" -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$device"
  note format "made"
  e2fsck -p "$device"
  note node "staged"
  mkdir -p "$staging" "$target"
  mount -t ext4 "$device" "$staging"
  note node "published"
  mount --bind "$staging" "$target"
}

down() {
  local device
  umount "$target"
  rmdir "$target"
  note node "staged"
  umount "$staging"
  device=$(losetup --noheadings --output NAME --associated "$folder/image")
  losetup --detach "$device"
  note node "none"
  note volume "unpublished"
  note volume "to be deleted"
  rm -r "$folder"
  sync "${folder%/*}"
  note volume "none"
}

case $action in
  up)
    records=${6-}
    up "$5"
    ;;
  down)
    records=${5-}
    down
    ;;
  *)
    echo "bare-tools: up or down, not $action" >&2
    exit 2
    ;;
esac

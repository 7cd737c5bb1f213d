#!/usr/bin/env bash
# What a person would type to have an ext4 volume mounted in a pod's folder: the tools alone, one after the other.
#   bare-tools.sh up   FOLDER STAGING TARGET SIZE_BYTES
#   bare-tools.sh down FOLDER STAGING TARGET
# It holds the same promises on disk as the driver's image does (file, its folder and the folder above are synced), the
# same loop device options and the same mkfs options, and blkid before mkfs. It checks with e2fsck as the driver does.
# It does not hold what only a driver needs: the registry's commits, the intent and format records, the proof that the
# device is this volume's and reads as blank, and the answer over a socket. The ratio shows what those cost.
set -euo pipefail
action=$1 folder=$2 staging=$3 target=$4

up() {
  local size=$1 device found=0
  mkdir "$folder"
  truncate --size "$size" "$folder/image"
  sync "$folder/image" "$folder" "${folder%/*}"
  device=$(losetup --find --show --direct-io=on --sector-size 4096 "$folder/image")
  blkid -p -o export "$device" || found=$?
  if [[ $found -ne 2 ]]; then
    echo "bare-tools: blkid answered $found for a new image" >&2
    exit 1
  fi
  mkfs.ext4 -F -q -U "$(</proc/sys/kernel/random/uuid)" -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$device"
  e2fsck -p "$device"
  mkdir -p "$staging" "$target"
  mount -t ext4 "$device" "$staging"
  mount --bind "$staging" "$target"
}

down() {
  local device
  umount "$target"
  rmdir "$target"
  umount "$staging"
  device=$(losetup --noheadings --output NAME --associated "$folder/image")
  losetup --detach "$device"
  rm -r "$folder"
  sync "${folder%/*}"
}

case $action in
  up) up "$5" ;;
  down) down ;;
  *)
    echo "bare-tools: up or down, not $action" >&2
    exit 2
    ;;
esac

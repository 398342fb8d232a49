#!/bin/busybox sh
# First process of Debian's kernel in qemu: makes the host's files the root, and starts what "guestinit=" names there.
/bin/busybox mount -t proc proc /proc
for module in /modules/*; do /bin/busybox insmod "$module"; done
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=262144 root /newroot
/bin/busybox mount -t devtmpfs dev /newroot/dev
exec /bin/busybox switch_root /newroot "$(/bin/busybox sed 's/.*guestinit=\([^ ]*\).*/\1/' /proc/cmdline)"

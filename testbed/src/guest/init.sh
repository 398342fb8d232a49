#!/bin/sh
# First process of a User-Mode Linux guest. The root is the host's file system, so everything that programs write to
# is covered by a tmpfs first. Then it runs the commands that the test bed leaves in the spool directory, one per line
# on the console: "run N" runs N.cmd, writes N.out and last N.rc. End of file or "off" powers the guest off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
for word in $(cat /proc/cmdline); do
    case $word in
        SPOOL=*) SPOOL=${word#SPOOL=} ;;
        LIFETIME=*) LIFETIME=${word#LIFETIME=} ;;
    esac
done
for directory in /run /etc/ppp /var/log; do mount -t tmpfs tmpfs "$directory"; done
mkdir -p /run/lock /run/spool
mount -t hostfs none /run/spool -o "$SPOOL"
mount -t tmpfs tmpfs /tmp

modules=/usr/lib/uml/modules/$(uname -r)/kernel
for module in drivers/net/slip/slhc drivers/net/ppp/ppp_generic drivers/net/ppp/pppox drivers/net/ppp/pppoe \
    lib/crc-ccitt drivers/net/ppp/ppp_async drivers/net/ppp/bsd_comp drivers/net/ppp/ppp_deflate; do
    insmod "$modules/$module.ko"
done
ip link set lo up
ip link set vec0 up

# The guest ends by itself, whatever becomes of the test bed.
( sleep "${LIFETIME:-300}"; echo o > /proc/sysrq-trigger ) &

: > /etc/ppp/options
stty -echo
cd /run/spool
echo ready > ready
while read -r verb number; do
    case $verb in
        run) sh "$number.cmd" > "$number.out" 2>&1 < /dev/null
             echo $? > "$number.tmp" && mv "$number.tmp" "$number.rc" ;;
        off) break ;;
    esac
done
sync
echo o > /proc/sysrq-trigger
sleep 60

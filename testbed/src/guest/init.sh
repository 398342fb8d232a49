#!/bin/sh
# First process of a guest: User-Mode Linux, or Debian's own kernel in qemu (with KERNEL=, where that and its modules are). The
# root is the host's file system, so everything that programs write to is covered by a tmpfs first. Then it runs the commands
# that the test bed leaves in the spool directory, one per line on the console: "run N" runs N.cmd, writes N.out and last
# N.rc. End of file or "off" powers the guest off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
for word in $(cat /proc/cmdline); do
    case $word in
        SPOOL=*) SPOOL=${word#SPOOL=} ;;
        LIFETIME=*) LIFETIME=${word#LIFETIME=} ;;
        KERNEL=*) KERNEL=${word#KERNEL=} ;;
    esac
done
for directory in /run /etc/ppp /var/log; do mount -t tmpfs tmpfs "$directory"; done
mkdir -p /run/lock /run/spool
if [ -n "$KERNEL" ]; then
    mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 spool /run/spool
else
    mount -t hostfs none /run/spool -o "$SPOOL"
fi
# Kernel and programs may be below /tmp as well.
if [ -n "$KERNEL" ]; then
    target=${KERNEL%/*/*}
    mkdir -p /run/target && mount --bind "$target" /run/target
fi
mount -t tmpfs tmpfs /tmp
if [ -n "$KERNEL" ] && ! [ -e "$KERNEL" ]; then
    mkdir -p "$target" && mount --bind /run/target "$target"
fi
echo booting > /run/spool/booting

if [ -n "$KERNEL" ]; then
    # The host has no modules of this kernel where modprobe looks. What the kernel itself asks for is noted: nothing that
    # pppoed does for a dial may start a program.
    printf '#!/bin/sh\necho "$@" >> /run/modprobe.log\nexec /sbin/modprobe -d %s "$@"\n' "$KERNEL" > /run/modprobe
    chmod 755 /run/modprobe
    echo /run/modprobe > /proc/sys/kernel/modprobe
    modprobe -d "$KERNEL" -a virtio_net veth tun pppoe ppp_async sch_ingress cls_bpf act_bpf
    for device in /sys/class/net/e*; do
        [ -e "$device" ] && ip link set "${device##*/}" name vec0
    done
else
    modules=/usr/lib/uml/modules/$(uname -r)/kernel
    for module in drivers/net/slip/slhc drivers/net/ppp/ppp_generic drivers/net/ppp/pppox drivers/net/ppp/pppoe \
        lib/crc-ccitt drivers/net/ppp/ppp_async drivers/net/ppp/bsd_comp drivers/net/ppp/ppp_deflate; do
        insmod "$modules/$module.ko"
    done
fi
ip link set lo up
[ -e /sys/class/net/vec0 ] && ip link set vec0 up

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

#!/bin/sh
# Stands before pppd: makes of the command line of Debian's pppoe-server, which relays in user mode only, the one of
# pppoe-server -k (rp-pppoe 4.0).
while [ $# -gt 0 ]; do
    case $1 in
        pty)
            # pppoe -n -I NIC -e ID:MAC …
            previous=''
            for word in $2; do
                case $previous in -I) nic=$word ;; -e) session=$word ;; esac
                previous=$word
            done
            shift ;;
        file) file=$2; shift ;;
        *.*.*.*:*.*.*.*) addresses=$1 ;;
    esac
    shift
done
exec /run/pppd.real plugin rp-pppoe.so "nic-$nic" rp_pppoe_sess "$session" rp_pppoe_service '' file "$file" \
    "$addresses" nodetach noaccomp nopcomp default-asyncmap remotenumber "${session#*:}" mru 1492 mtu 1492

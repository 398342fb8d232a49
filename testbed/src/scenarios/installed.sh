# Runs as a service of a Debian with systemd, in a User-Mode Linux guest whose files are a copy of the machine's.
# $1: a directory with the package and the test bed's client. Each step says what it shows; the first that fails ends it.
set -eu
trap 'code=$?; sync; [ $code = 0 ] || { echo "FAILED: $step"; journalctl -b --no-pager -o short -u pppoed | tail -n 20; }; sync' EXIT
step="prepare the guest"
# Every file with our name, but for what systemd notes of units while it runs.
ours() {
	find /etc /usr /lib /var /run -xdev \( -path /run/systemd -o -path /run/spool \) -prune -o \
		\( -iname '*pppoed*' -o -iname '*pppctl*' -o -iname 'ppp-worker*' \) -print | sort
}
# sh -e does not look at the status of "! command".
fails() {
	if "$@"; then
		echo "did not fail: $*"
		return 1
	fi
}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
modules=/usr/lib/uml/modules/$(uname -r)/kernel
for module in drivers/net/tun drivers/net/veth net/sched/sch_ingress net/sched/cls_bpf; do insmod "$modules/$module.ko"; done
ip link add eth1 type veth peer name host0
ip netns add host
ip link set host0 netns host
ip link set eth1 up
ip -n host link set host0 up
sysctl -qw net.ipv4.ip_forward=1
before=$(ours)

say() {
	echo "ok: $step"
	step=$1
}
# Waits up to 20 seconds for a command to succeed.
await() {
	tries=200
	until "$@" > /dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "in vain: $*"; return 1; }
		sleep 0.1
	done
}
sessions() { pppctl show sessions -o json; }
is_open() { sessions | grep -q '"state":"open"'; }
is_empty() { ! sessions | grep -q '"id"'; }
# What must not change for the subscriber.
identity() { sessions | grep -oE '"(id|ifname|username|ip|mac)":("[^"]*"|[0-9]+)' | sort; }
dial() {
	ip netns exec host "$1/testbed" dial -i host0 --user alice --password secret > /run/dial.log 2>&1 &
	dialler=$!
	await is_open
}
has_ppp() { ip -o link | grep 'ppp[0-9]'; }
ping_host() { ip netns exec host ping -q -c 1 -W 5 10.0.0.1; }

say "the package installs, with its user, and starts nothing by itself"
dpkg -i "$1"/*.deb
getent passwd pppoed
[ "$(id -gn pppoed)" = pppoed ]
[ -f /usr/share/bash-completion/completions/pppctl ]
fails systemctl -q is-active pppoed
fails systemctl -q is-enabled pppoed

say "systemd-analyze finds no mistake in the unit"
mistakes=$(systemd-analyze verify --man=no pppoed.service 2>&1 | grep -i pppoed || true)
[ -z "$mistakes" ] || { echo "$mistakes"; exit 1; }
systemd-analyze security --no-pager pppoed.service | tail -n 1

say "it starts, and is ready when systemctl returns"
mkdir -p /etc/ppp
echo 'alice * secret *' > /etc/ppp/chap-secrets
chmod 600 /etc/ppp/chap-secrets
echo 'require-chap' > /etc/ppp/pppoe-server-options
: > /etc/ppp/options
echo 'PPPOED_OPTIONS="-I eth1 -L 10.0.0.1 -R 10.0.0.2 -N 8"' > /etc/default/pppoed
systemctl start pppoed
sessions
systemctl status --no-pager pppoed | grep 'Serving up to 8 sessions'

say "a client dials"
dial "$1"
await ping_host
identity > /run/identity
cat /run/identity
[ -s /run/identity ]

say "the journal has the session by its user's name"
journalctl -b --no-pager -o json USERNAME=alice | grep -q '"SESSION"'
journalctl -b --no-pager -o json SYSLOG_IDENTIFIER=pppoed USERNAME=alice | grep -q '"PEER_MAC"'
started=$(journalctl -b --no-pager -o cat EVENT=session-up SYSLOG_IDENTIFIER=pppoed)
case "$started" in *username=alice*peer_ip=10.0.0.2*) ;; *) echo "$started"; exit 1 ;; esac

say "it knows messages by their numbers"
[ -n "$(journalctl -b --no-pager -q -o cat MESSAGE_ID=eaf13e95def747a0a3f945be89f2c600)" ]

say "systemctl reload"
systemctl reload pppoed

say "systemctl restart keeps the session"
old=$(systemctl show -p MainPID --value pppoed)
systemctl restart pppoed
[ "$(systemctl show -p MainPID --value pppoed)" != "$old" ]
await is_open
identity | cmp - /run/identity
ping_host

say "a crash is followed by a new server, with the session"
old=$(systemctl show -p MainPID --value pppoed)
kill -s KILL "$old"
restarted() { new=$(systemctl show -p MainPID --value pppoed) && [ "$new" != 0 ] && [ "$new" != "$old" ] && is_open; }
await restarted
identity | cmp - /run/identity
ping_host

say "an upgrade of the package keeps the session"
dpkg -i "$1"/*.deb
await is_open
identity | cmp - /run/identity
ping_host

say "shutdown hard ends it, and the service is not started again"
pppctl shutdown hard --yes
wait $dialler || true
gone() { ! systemctl -q is-active pppoed; }
await gone
fails has_ppp
ended() { journalctl -b --no-pager -x -o short MESSAGE_ID=53176f6b2dd5434396c8db7a19c89425; }
await sh -c 'journalctl -b -q --no-pager EVENT=session-ended | grep -q reason=shutdown'
ended | grep -q 'Subject: A PPPoE session has ended'
ended | grep -q 'of alice on eth1'
[ "$(systemctl show -p Result --value pppoed)" = success ]

say "the init script starts, keeps sessions over a restart, and ends them"
/etc/init.d/pppoed start
/etc/init.d/pppoed status
dial "$1"
identity > /run/identity
/etc/init.d/pppoed restart
await is_open
identity | cmp - /run/identity
await ping_host
/etc/init.d/pppoed stop
fails /etc/init.d/pppoed status
wait $dialler || true
fails has_ppp

say "purge leaves nothing"
systemctl start pppoed
dpkg --purge pppoed
fails getent passwd pppoed
fails getent group pppoed
left=$(ours | grep -vxF "$before" || true)
[ -z "$left" ] || { echo "left: $left"; exit 1; }
systemctl daemon-reload
say "end"
echo "all steps passed"

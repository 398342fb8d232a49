#!/bin/sh
# Stands in for each of pppd's scripts in turn, and writes down everything that it was started with.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
own=/proc/$$
# By the shell alone: it blocks signals while it starts a program.
status=''
while read -r key value; do
    case $key in Umask: | Uid: | Gid: | Groups: | SigBlk:) status="$status$key $value; " ;; esac
done < $own/status
# Before anything is redirected.
stdin=$(readlink $own/fd/0) stdout=$(readlink $own/fd/1) stderr=$(readlink $own/fd/2)
name=${0##*/}
mkdir -p /var/log/dump
echo "$name" >> /var/log/dump/order
{
    echo "path $0"
    for argument in "$@"; do echo "argument [$argument]"; done
    tr '\0' '\n' < $own/environ | sed 's/^/environment /' | sort
    echo "directory $(readlink $own/cwd)"
    echo "stdin $stdin"
    echo "stdout $stdout"
    echo "stderr $stderr"
    echo "status $status" | tr '\t' ' '
    # Fields 5 and 6 of proc_pid_stat(5): process group and session.
    set -- $(cat $own/stat)
    [ "$5" = $$ ] && echo "leads its process group"
    [ "$6" = $$ ] && echo "leads its session"
    echo "addresses $(ip -4 -oneline address show dev "$IFNAME" 2> /dev/null | wc -l)"
} > "/var/log/dump/$name.part" 2>&1
mv "/var/log/dump/$name.part" "/var/log/dump/$name"

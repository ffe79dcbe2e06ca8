#!/usr/bin/env bash
# Starts one ZooKeeper server with its data in /data.
#
# ZOOKEEPER_SERVERS is the number of members. With more than one, the members
# are those of a StatefulSet: the ordinal at the end of the host name, plus one,
# is the server's id, and the others have the same name with their ordinals.
set -euo pipefail

servers=${ZOOKEEPER_SERVERS:-1}
config=/opt/zookeeper/conf/zoo.cfg

cat >"$config" <<END
dataDir=/data
clientPort=2181
tickTime=2000
initLimit=10
syncLimit=5
autopurge.purgeInterval=1
4lw.commands.whitelist=*
admin.enableServer=false
END

if ((servers > 1)); then
    if [[ ! $HOSTNAME =~ ^(.+)-([0-9]+)$ ]]; then
        echo "start.sh: no ordinal at the end of the host name $HOSTNAME" >&2
        exit 1
    fi
    set_name=${BASH_REMATCH[1]} ordinal=${BASH_REMATCH[2]}
    # Inside a pod of a StatefulSet this is SERVICE.NAMESPACE.svc.DOMAIN.
    domain=$(hostname --domain)
    for ((i = 0; i < servers; i++)); do
        echo "server.$((i + 1))=$set_name-$i.${domain:-zookeeper-server}:2888:3888"
    done >>"$config"
    # Peers may come by an address this host does not know yet.
    echo "quorumListenOnAllIPs=true" >>"$config"
    echo $((ordinal + 1)) >/data/myid
fi

exec /opt/zookeeper/bin/zkJava org.apache.zookeeper.server.quorum.QuorumPeerMain "$config"

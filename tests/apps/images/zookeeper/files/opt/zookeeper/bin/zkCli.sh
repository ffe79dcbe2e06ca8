#!/usr/bin/env bash
# ZooKeeper's shell: zkCli.sh [-server HOST:PORT] [COMMAND...]
set -euo pipefail

exec /opt/zookeeper/bin/zkJava -Dorg.slf4j.simpleLogger.defaultLogLevel=warn org.apache.zookeeper.ZooKeeperMain "$@"

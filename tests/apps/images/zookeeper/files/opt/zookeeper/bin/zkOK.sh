#!/usr/bin/env bash
# Succeeds when the server in this container says it is up.
set -euo pipefail

exec 3<>/dev/tcp/127.0.0.1/2181
printf ruok >&3
[[ $(cat <&3) == imok ]]

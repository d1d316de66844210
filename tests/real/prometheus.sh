#!/usr/bin/env bash
# A real Prometheus that scrapes one target every second.
#
#   prometheus.sh start DIR PORT TARGET   data and log under DIR, API on 127.0.0.1:PORT; returns when it is ready
#   prometheus.sh stop DIR
#   prometheus.sh ask PORT QUERY          the value of an instant query; nothing where there is no sample
set -euo pipefail

fail() { echo "prometheus.sh: $*" >&2; exit 1; }

case ${1:-} in
    start)
        [ $# -eq 4 ] || fail "usage: start DIR PORT TARGET"
        dir=$2 port=$3 target=$4
        mkdir -p "$dir"
        cat > "$dir/prometheus.yml" <<YAML
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: callpulse
    static_configs: [{ targets: ["$target"] }]
YAML
        setsid prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
            --web.listen-address="127.0.0.1:$port" > "$dir/prometheus.log" 2>&1 < /dev/null &
        echo $! > "$dir/pid"
        for _ in $(seq 300); do
            curl -fs "http://127.0.0.1:$port/-/ready" > /dev/null && exit 0
            kill -0 "$(cat "$dir/pid")" 2> /dev/null || break
            sleep 0.1
        done
        tail -n 20 "$dir/prometheus.log" >&2
        fail "Prometheus is not ready"
        ;;
    stop)
        [ $# -eq 2 ] || fail "usage: stop DIR"
        [ -e "$2/pid" ] || exit 0
        pid=$(cat "$2/pid")
        kill "$pid" 2> /dev/null || true
        for _ in $(seq 100); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
        rm -f "$2/pid"
        ;;
    ask)
        [ $# -eq 3 ] || fail "usage: ask PORT QUERY"
        curl -fsG "http://127.0.0.1:$2/api/v1/query" --data-urlencode "query=$3" \
            | python3 -c 'import json, sys; [print(r["value"][1]) for r in json.load(sys.stdin)["data"]["result"]]'
        ;;
    *) fail "start, stop or ask?" ;;
esac

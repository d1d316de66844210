#!/usr/bin/env bash
# Brings an engine to run beside callpulse, from public registries, into ~/.cache/callpulse/peers.
#
#   fetch.sh flink      Flink SQL and its Kafka connector (Maven Central), and the job compiled against them
#   fetch.sh streams    Kafka Streams (Maven Central), and the job
#   fetch.sh pathway    Pathway (PyPI), in an environment of its own
#   fetch.sh trends     DuckDB and chDB (PyPI), in an environment of their own
#   fetch.sh latency    a Kafka client (PyPI) for the probes of latency.sh
#
# Prints the class path, or the Python to run.
set -euo pipefail
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/callpulse/peers
mkdir -p "$cache"

# DIR DEPENDENCY... : the jars of these and of what they need
jars() {
    local dir=$1 wanted
    shift
    wanted="$*"
    [ "$(cat "$dir/wanted" 2> /dev/null)" = "$wanted" ] && return
    local build
    build=$(mktemp -d)
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '<groupId>callpulse</groupId><artifactId>peers</artifactId><version>1</version><dependencies>'
        local it
        for it in "$@"; do
            IFS=: read -r group artifact version <<< "$it"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } > "$build/pom.xml"
    rm -rf "$dir"
    mkdir -p "$dir"
    mvn -q -B -f "$build/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir" -DincludeScope=runtime >&2
    rm -r "$build"
    echo "$wanted" > "$dir/wanted"
}

compile() { # DIR SOURCE
    mkdir -p "$1/classes"
    [ "$1/classes/${2##*/}" -nt "$2" ] || { javac -nowarn -d "$1/classes" -cp "$1/*" "$2" >&2 && touch "$1/classes/${2##*/}"; }
    echo "$1/classes:$1/*"
}

python() { # DIR PACKAGE... : an environment with these
    local dir=$1 wanted
    shift
    wanted="$*"
    if [ "$(cat "$dir/wanted" 2> /dev/null)" != "$wanted" ]; then
        python3 -c 'import subprocess, sys; subprocess.check_call([sys.executable, "-m", "venv", sys.argv[1]])' "$dir"
        "$dir/bin/python" -m pip install -q --disable-pip-version-check "$@" >&2
        echo "$wanted" > "$dir/wanted"
    fi
    echo "$dir/bin/python"
}

case $1 in
    flink)
        flink=2.2.1
        jars "$cache/flink" org.apache.flink:flink-table-planner-loader:$flink org.apache.flink:flink-table-runtime:$flink \
            org.apache.flink:flink-clients:$flink org.apache.flink:flink-json:$flink \
            org.apache.flink:flink-table-api-java-bridge:$flink org.apache.flink:flink-connector-base:$flink \
            org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2
        compile "$cache/flink" flink/FlinkReduced.java ;;
    streams)
        jars "$cache/streams" org.apache.kafka:kafka-streams:4.1.0 com.fasterxml.jackson.core:jackson-core:2.18.2 \
            org.slf4j:slf4j-nop:2.0.16
        compile "$cache/streams" streams/StreamsReduced.java ;;
    pathway) python "$cache/pathway" pathway==0.33.0 ;;
    trends) python "$cache/trends" duckdb==2.0.1 chdb==4.4.0 ;;
    latency) python "$cache/latency" confluent-kafka==2.16.1 ;;
    *) echo "fetch.sh: \`$1\` is no engine that is known here: flink, streams, pathway, trends, latency" >&2; exit 64 ;;
esac

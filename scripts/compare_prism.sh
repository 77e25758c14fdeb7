#!/usr/bin/env bash
# Compares Spandrel with Prism, the usual mock server for OpenAPI documents: start, memory, creates a second, and which
# of 20 faulty requests each refuses.
#
#     scripts/compare_prism.sh target/release/spandrel path/to/prism
#
# Needs wrk and Python 3. Prism mocks the document that Spandrel serves. ROUNDS (3) of SECONDS_EACH (4), one server after
# the other, so that other work on the machine meets all alike; all rounds are told, slowest first.
set -euo pipefail
spandrel=$1
prism=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; wait; rm -rf "$work"' EXIT
"$spandrel" openapi --format json > "$work/openapi.json"
cat > "$work/create.lua" << 'END'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"project_name":"bench","name":"chat","type":"llm","start_time":"2024-01-15T09:30:00.123456Z",
"end_time":"2024-01-15T09:30:01.5Z","input":{"messages":[{"role":"user","content":"hello"}]},"output":{"text":"hi"},
"model":"gpt-4o","usage":{"prompt_tokens":12,"completion_tokens":34}}]]
END

declare -A flags=([spandrel]="" [strict]="--strict" [closed]="--strict=closed") port=([prism]=4010 [spandrel]=4011 [strict]=4012 [closed]=4013) pid
now() { date +%s%N; }

start() {
  local began
  began=$(now)
  if [ "$1" = prism ]; then
    "$prism" mock "$work/openapi.json" --host 127.0.0.1 --port "${port[prism]}" --verboseLevel silent > "$work/prism.log" 2>&1 &
  else
    # shellcheck disable=SC2086
    "$spandrel" serve --listen "127.0.0.1:${port[$1]}" --database "sqlite:$work/$1.db" ${flags[$1]} > "$work/$1.log" 2>&1 &
  fi
  pid[$1]=$!
  until curl -fs -o /dev/null "http://127.0.0.1:${port[$1]}/is-alive/ping"; do sleep 0.005; done
  echo "$1: first answer after $((($(now) - began) / 1000000)) ms"
}
memory() { echo "$1: $(awk '/VmRSS/ { printf "%d", $2 / 1000 }' "/proc/${pid[$1]}/status") MB"; }

names="prism spandrel strict closed"
for name in $names; do start $name; done
echo "--- memory after the start"
for name in $names; do memory $name; done
for connections in 1 16; do
  echo "--- creates a second, $connections connections"
  for round in $(seq "${ROUNDS:-3}"); do
    for name in prism spandrel strict; do
      wrk -t1 -c$connections -d"${SECONDS_EACH:-4}" --latency -s "$work/create.lua" "http://127.0.0.1:${port[$name]}/v1/private/spans" > "$work/wrk"
      awk '/Requests\/sec/ { print $2 }' "$work/wrk" >> "$work/$name.$connections"
      if grep -q 'Non-2xx' "$work/wrk"; then echo "$name: $(grep 'Non-2xx' "$work/wrk")"; fi
    done
  done
  for name in prism spandrel strict; do echo "$name: $(sort -n "$work/$name.$connections" | xargs)"; done
done
echo "--- memory after that"
for name in prism spandrel strict; do memory $name; done
echo "--- faulty requests"
"$here/faulty_requests.py" Prism="http://127.0.0.1:${port[prism]}" Spandrel="http://127.0.0.1:${port[spandrel]}" \
  "--strict=http://127.0.0.1:${port[strict]}" "--strict=closed=http://127.0.0.1:${port[closed]}"

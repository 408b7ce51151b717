#!/usr/bin/env bash
# A tour of TRAE with curl.
#
#   examples/clients/tour.sh [http://127.0.0.1:8007]
#
# A key, where the server wants one, is read from TRAE_KEY.
set -euo pipefail

base=${1:-http://127.0.0.1:8007}
key=${TRAE_KEY:+Authorization: Bearer $TRAE_KEY}

call() {
    local method=$1 path=$2
    shift 2
    echo
    echo "$ $method $path ${1:-}"
    if [ $# -gt 0 ]; then
        set -- -H 'Content-Type: application/json' -d "$1"
    fi
    curl -sS --fail-with-body -X "$method" ${key:+-H "$key"} "$@" "$base$path"
    echo
}

call GET /api/health/
call GET /api/desktop/info
call GET /api/automation/capabilities
call POST /api/automation/mouse/move '{"x": 300, "y": 200}'
call GET /api/automation/mouse/position
call POST /api/automation/clipboard '{"text": "carried over"}'
call GET /api/automation/clipboard
call POST /api/shell/bash '{"command": "uname -s"}'
call GET /api/shell/status
call GET /api/node-configs/templates/delay
call POST /api/workflows/validate '{"name": "broken", "nodes": [{"id": "a", "type": "manual_trigger"}], "edges": [{"id": "e", "source": "a", "target": "gone"}]}'

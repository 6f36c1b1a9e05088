#!/bin/sh
# Follows the template. `make update` and `make check-update` call: template.sh update|check COMMAND OF COPIER...
set -eu
what=$1
shift
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

fail() {
    if grep -q '^Traceback' "$errors"; then # Copier says so when the template cannot be reached
        address=$(sed -n 's/^_src_path: //p' .copier-answers.yml)
        echo "error: expected to reach the template at $address, got: $(tail -n 1 "$errors" | sed 's/^[^|]*| *//')" >&2
    else
        cat "$errors" >&2
    fi
    exit 1
}

case $what in
check)
    told=$("$@" --output-format json 2>"$errors") || fail
    have=$(echo "$told" | sed 's/.*"current_version": "\([^"]*\)".*/\1/')
    latest=$(echo "$told" | sed 's/.*"latest_version": "\([^"]*\)".*/\1/')
    case $told in
    *'"update_available": true'*)
        echo "The template is at $latest, this project at $have. Commit your work, then: make update"
        exit 2
        ;;
    *) echo "This project follows the newest template, $have." ;;
    esac
    ;;
update)
    "$@" 2>"$errors" || fail
    cat "$errors" >&2
    conflicts=$(git diff --name-only --relative --diff-filter=U)
    if [ -n "$conflicts" ]; then
        echo "error: both you and the template changed the same lines; edit these files, git add them, then: make init check" >&2
        echo "$conflicts" >&2
        exit 1
    fi
    ;;
esac

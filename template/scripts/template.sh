#!/bin/sh
# Follows the template. `make update` and `make check-update` call: template.sh update|check COMMAND OF COPIER...
set -eu
what=$1
shift
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
address=$(sed -n 's/^_src_path: //p' .copier-answers.yml)

refuse() {
    echo "error: $1" >&2
    exit 1
}

# Copier's last line says what was wrong, above it may stand a traceback.
fail() {
    last=$(tail -n 1 "$errors" | sed -e 's/^[^|]*| *//' -e 's/^[A-Za-z]*Error: //')
    case $(cat "$errors") in
    *"Local template must be"* | *"git ls-remote"* | *"git clone"* | *"git-tracked templates"*)
        refuse "expected to reach the template at $address, got: $last" ;;
    *"Not a YAML list"*) refuse "expected a list without spaces, such as options=[docker,docs], got: $last" ;;
    *) refuse "$last" ;;
    esac
}

git rev-parse --is-inside-work-tree >/dev/null 2>&1 || refuse "expected a git repository, got none; run: make init"

if [ "$what" = check ]; then
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
    exit 0
fi

[ -z "$(git status --porcelain .)" ] || refuse "expected all work to be committed, got changes; git commit or git stash, then again"
option=
for word; do # Copier drops the answer to a question that there is not
    case $option in
    -d | --data)
        name=${word%%=*}
        [ "$name" != package_name ] || refuse "the package name is for life: another one would drop your edits in the package"
        grep -q "^$name:" .copier-answers.yml \
            || refuse "expected a question of the template, got '$name'; they stand in .copier-answers.yml"
        ;;
    esac
    option=$word
done
trap 'echo "interrupted; to undo what it did: git reset --hard && git clean -fd" >&2; exit 130' INT TERM
before=$(sed -n 's/^_commit: //p' .copier-answers.yml)
"$@" 2>"$errors" || fail
echo "The template: from $before to $(sed -n 's/^_commit: //p' .copier-answers.yml). What changed: git status, git diff."
git ls-files --deleted | sort -u | sed 's/^/  deleted: /'
conflicts=$(git diff --name-only --relative --diff-filter=U)
if [ -n "$conflicts" ]; then
    echo "error: both you and the template changed the same lines; edit these files, git add them, then: make init check" >&2
    echo "$conflicts" >&2
    exit 1
fi

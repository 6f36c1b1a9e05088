#!/bin/sh
# Follows the template. `make update` and `make check-update` call: template.sh update|check OPTIONS OF COPIER...
set -eu
work=$(mktemp -d)
errors=$work/errors
trap 'rm -rf "$work"' EXIT
address=$(sed -n 's/^_src_path: //p' .copier-answers.yml)
before=$(sed -n 's/^_commit: //p' .copier-answers.yml)

refuse() {
    echo "error: $1" >&2
    exit 1
}

run_copier() {
    if command -v copier >/dev/null; then copier "$@"; else "$UV" tool run --quiet --from 'copier>=9.15,<10' copier "$@"; fi
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

check() {
    told=$(run_copier check-update --output-format json "$@" 2>"$errors") || fail
    have=$(echo "$told" | sed 's/.*"current_version": "\([^"]*\)".*/\1/')
    latest=$(echo "$told" | sed 's/.*"latest_version": "\([^"]*\)".*/\1/')
    case $told in
    *'"update_available": true'*)
        echo "The template is at $latest, this project at $have. Commit your work, then: make update"
        exit 2
        ;;
    *) echo "This project follows the newest template, $have." ;;
    esac
}

refuse_wrong_questions() { # Copier drops the answer to a question that there is not
    option=
    for word; do
        case $option in
        -d | --data)
            name=${word%%=*}
            [ "$name" != package_name ] || refuse "the package name is permanent: another one would drop your edits in the package"
            grep -q "^$name:" .copier-answers.yml \
                || refuse "expected a question of the template, got '$name'; they stand in .copier-answers.yml"
            ;;
        esac
        option=$word
    done
}

# What the template had made of the old answers, in $work/old: what differs from it is the user's. It takes a
# second or more, so it is made once, and only where something asks.
render_old() {
    if [ ! -d "$work/old" ]; then
        mkdir "$work/old"
        git show HEAD:./.copier-answers.yml >"$work/old/.copier-answers.yml"
        run_copier recopy --defaults --overwrite --quiet --vcs-ref "$before" "$work/old" </dev/null >/dev/null 2>&1 \
            && touch "$work/rendered"
    fi
    [ -e "$work/rendered" ]
}

was_changed() { # as committed, for the update may have touched the file since; if in doubt, it was
    git show "HEAD:./$1" >"$work/committed"
    ! { render_old && cmp -s "$work/committed" "$work/old/$1"; }
}

list() {
    git -c core.quotePath=false ls-files "$@" | sort -u
}

say_what_was_deleted() {
    list --deleted | while IFS= read -r file; do
        if was_changed "$file"; then
            mkdir -p "$(dirname "$file")"
            cp "$work/committed" "$file.yours"
            echo "  deleted: $file, which you had changed: see $file.yours"
        else
            echo "  deleted: $file"
        fi
    done
}

warn_of_edits_in_the_engine() {
    files=$(list "$PACKAGE/engine")
    { [ -n "$files" ] && render_old; } || return 0
    edited=$(echo "$files" | while IFS= read -r file; do
        ! was_changed "$file" || echo "  $file"
    done)
    [ -z "$edited" ] || printf '%s\n' "warning: each update brings the next $PACKAGE/engine, and your edits there \
conflict or are lost. Keep your code outside. You changed:" "$edited" >&2
}

update() {
    [ -z "$(git status --porcelain .)" ] || refuse "expected all work to be committed, got changes; git commit or git stash, then again"
    refuse_wrong_questions "$@"
    trap 'echo "interrupted; to undo what it did: git reset --hard && git clean -fd" >&2; exit 130' INT TERM
    run_copier update --defaults --quiet "$@" 2>"$errors" || fail
    after=$(sed -n 's/^_commit: //p' .copier-answers.yml)
    echo "The template: from $before to $after. What changed: git status, git diff."
    say_what_was_deleted
    [ "$before" = "$after" ] || warn_of_edits_in_the_engine
    conflicts=$(git diff --name-only --relative --diff-filter=U)
    if [ -n "$conflicts" ]; then
        echo "error: both you and the template changed the same lines; edit these files, git add them, then: make init check" >&2
        echo "$conflicts" >&2
        exit 1
    fi
}

main() {
    git rev-parse --is-inside-work-tree >/dev/null 2>&1 || refuse "expected a git repository, got none; run: make init"
    what=$1
    shift
    "$what" "$@"
}

main "$@"; exit # in one line: the update replaces this file while it runs

#!/bin/bash
# bootstrap cgi ./index.cgi
#
# A form, and a greeting for whoever has filled it in. The request is in variables, its body on standard input; what is
# printed is headers, an empty line, the page. Standard error is the log.
set -euo pipefail

# The value NAME of a query string, still encoded. Whatever could end a header is left out.
value() {
    local text="&$2"
    [[ $text == *"&$1="* ]] || return 0
    text=${text##*"&$1="}
    text=${text%%&*}
    printf %s "${text//[^A-Za-z0-9%+._*-]/}"
}

# The text that is encoded so, fit for a page.
shown() {
    local text=${1//+/ }
    printf '%b' "${text//%/\\x}" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'
}

echo "${REQUEST_METHOD-an event}" "${REQUEST_URI-}" >&2
case "${REQUEST_METHOD-} ${PATH_INFO-}" in
"GET /" | "HEAD /")
    name=$(value name "$(printf %s "${HTTP_COOKIE-}" | tr '; ' '&&')")
    printf 'Content-Type: text/html; charset=utf-8\n\n'
    printf '<!doctype html>\n<title>Hello</title>\n<h1>Hello, %s!</h1>\n' "$(shown "${name:-stranger}")"
    printf '<form method="post"><input name="name"><button>That is me</button></form>\n'
    ;;
"POST /")
    name=$(value name "$(tr -d '\0')")
    printf 'Status: 303 See Other\nLocation: /\nSet-Cookie: name=%s; HttpOnly\nSet-Cookie: last=%s\n\n' \
        "$name" "$(date +%s)"
    ;;
*)
    printf 'Status: 404 Not Found\nContent-Type: text/plain\n\nNo such page.\n'
    ;;
esac

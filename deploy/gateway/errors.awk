# Converts each line of nginx's error log to a JSON object without query strings. A line without a time gets the current one.
{
    # A query may contain spaces and quotes. So remove everything after the first "?" except the replica's address.
    if (query = index($0, "?")) {
        rest = substr($0, query)
        upstream = match(rest, /, upstream: "[a-z]+:\/\/[^\/" ]+/) ? substr(rest, RSTART, RLENGTH) "\"" : ""
        $0 = substr($0, 1, query - 1) "\"" upstream
    }
    gsub(/[^ -~]/, "?")
    time = strftime("%Y-%m-%dT%H:%M:%SZ")
    level = "error"
    if ($0 ~ /^[0-9]+\/[0-9]+\/[0-9]+ [0-9:]+ \[/) {
        time = $1 "T" $2 "Z"
        gsub("/", "-", time)
        sub(/^[^ ]+ [^ ]+ /, "")
    }
    sub(/^nginx: /, "")
    if (match($0, /^\[[a-z]+\] /)) {
        level = substr($0, 2, RLENGTH - 3)
        sub(/^\[[a-z]+\] ([0-9]+#[0-9]+: )?/, "")
    }
    gsub(/["\\]/, "\\\\&")
    printf "{\"timestamp\":\"%s\",\"service\":\"gateway\",\"level\":\"%s\",\"event\":\"%s\"}\n", time, level, $0
    fflush()
}

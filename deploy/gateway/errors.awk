# Each line of nginx's error log as a JSON object, without query strings. A line without a time gets the time now.
{
    gsub(/[?][^ ]*[^ ,"]/, "")
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

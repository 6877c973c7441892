# The function: its result is its event, and nothing is started for it.
handler() {
	printf '%s\n' "$1"
}

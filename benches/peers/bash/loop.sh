# The least that a subshell for each event can cost: a line in, a line out, over pipes.
. ./index.sh
while IFS= read -r event; do
	(handler "$event")
done

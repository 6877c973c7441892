<?php
// The least that an event can cost in PHP: a line in, a line out, over pipes.
require __DIR__ . '/index.php';
while (($line = fgets(STDIN)) !== false) {
    fwrite(STDOUT, handler(substr($line, 0, -1), []) . "\n");
}

#!/usr/bin/env php
<?php
// bootstrap command ./command.php

$event = stream_get_contents(STDIN);
fwrite(STDERR, 'an event of ' . strlen($event) . " bytes\n");
$event = json_decode($event, true, 512, JSON_THROW_ON_ERROR);
if (!isset($event['name'])) {
    fwrite(STDERR, "InvalidArgument: the event has no name\n");
    exit(1);
}
echo json_encode(['greeting' => "Hello, {$event['name']}!"]);

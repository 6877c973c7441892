<?php
// bootstrap function index.handler

function handler(string $event, array $context): array
{
    echo 'an event of ', strlen($event), " bytes\n"; // The log.
    $event = json_decode($event, true, 512, JSON_THROW_ON_ERROR);
    if (!isset($event['name'])) {
        throw new InvalidArgumentException('the event has no name');
    }
    return ['greeting' => "Hello, {$event['name']}!"];
}

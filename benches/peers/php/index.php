<?php
// The function: its result is its event.
function handler($event, $context)
{
    return $event;
}

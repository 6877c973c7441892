#!/usr/bin/env node
// bootstrap command ./command.mjs
import { readFileSync } from 'node:fs';

const { name } = JSON.parse(readFileSync(0));
console.error('an event with the name', name);
if (name === undefined) {
    throw new TypeError('the event has no name');
}
console.log(JSON.stringify({ greeting: `Hello, ${name}!` }));

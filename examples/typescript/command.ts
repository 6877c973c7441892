// npm install && npm run build, then: bootstrap command node command.js
import { readFileSync } from 'fs';
import { handler } from './index';

handler(readFileSync(0)).then((answer) => console.log(JSON.stringify(answer)));

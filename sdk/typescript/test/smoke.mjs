// On a runtime with a command line. Arguments: URL, API key and agent.
import process from 'node:process';
import * as sdk from '../dist/esm/index.js';
import { smoke } from './smoke-steps.mjs';

const [baseUrl, apiKey, agent] = process.argv.slice(2);
await smoke(sdk, { baseUrl, apiKey, agent });
console.log('ok');

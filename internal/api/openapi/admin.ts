import { OF_BODIES } from './errors.js';
import * as examples from './examples.js';
import { type Operation, ofJson } from './operation.js';

/** Operations of keys, retention and erasures, and those that need no key. */

export const getOwnKey: Operation = {
  id: 'getOwnKey',
  tag: 'Keys',
  summary: 'Get the key of this request',
  description: 'What it may do and whose it is. Any valid key may ask.',
  answers: {
    200: {
      description: 'The key, without its secret.',
      content: ofJson('KeySelf', { key: examples.KEY_SELF }),
    },
  },
};

export const listKeys: Operation = {
  id: 'listKeys',
  tag: 'Keys',
  summary: 'List keys',
  description: 'All keys of the organization, revoked ones too, without their secrets.',
  answers: {
    200: { description: 'The keys.', content: ofJson('KeyList', { keys: examples.KEY_LIST }) },
  },
};

export const createKey: Operation = {
  id: 'createKey',
  tag: 'Keys',
  summary: 'Create a key',
  description: `
The secret \`key\` is in this answer only: nothing can show it again. Without \`permissions\` it may
read and write.`,
  body: {
    description: 'The key. Unknown members are ignored.',
    content: ofJson('KeyInput', { key: examples.KEY_INPUT }),
  },
  answers: {
    201: { description: 'Created.', content: ofJson('KeyCreated', { key: examples.KEY_CREATED }) },
  },
  errors: ['invalid_permission', ...OF_BODIES, 'disk_full'],
};

export const revokeKey: Operation = {
  id: 'revokeKey',
  tag: 'Keys',
  summary: 'Revoke a key',
  description: 'For ever, and within 5 seconds everywhere. A key may revoke itself.',
  pathId: { description: 'The id of a key.', example: examples.KEY.id },
  answers: { 204: { description: 'It does not work any more.' } },
  errors: ['key_not_found', 'last_admin_key', 'disk_full'],
};

const RETENTION = {
  200: {
    description: 'How long memories are kept.',
    content: ofJson('Retention', { retention: examples.RETENTION }),
  },
};

export const getRetention: Operation = {
  id: 'getRetention',
  tag: 'Retention',
  summary: 'Get the retention',
  description: 'In days by event time; null keeps everything.',
  answers: RETENTION,
};

export const setRetention: Operation = {
  id: 'setRetention',
  tag: 'Retention',
  summary: 'Set the retention',
  description: `
It holds at once, for what is stored already too: older memories vanish from every answer. \`null\`
goes back to the default of the server.`,
  body: {
    description: 'The days.',
    content: ofJson('RetentionInput', { days: examples.RETENTION_INPUT }),
  },
  answers: RETENTION,
  errors: ['invalid_days', ...OF_BODIES, 'disk_full'],
};

export const getErasure: Operation = {
  id: 'getErasure',
  tag: 'Retention',
  summary: 'Get an erasure',
  description: `
Erased memories are in no answer any more; this says how many files may still hold their bytes, and
by when they will not.`,
  pathId: { description: 'The id of an erasure.', example: examples.ERASURE_ID },
  answers: {
    200: {
      description: 'How far it has come.',
      content: ofJson('Erasure', { erasure: examples.ERASURE }),
    },
  },
  errors: ['erasure_not_found'],
};

export const getHealth: Operation = {
  id: 'getHealth',
  tag: 'Operations',
  summary: 'Whether the process lives',
  description: '200 as long as it answers at all: for a liveness probe.',
  answers: {
    200: { description: 'It lives.', content: ofJson('Health', { ok: examples.HEALTH }) },
  },
};

export const getReadiness: Operation = {
  id: 'getReadiness',
  tag: 'Operations',
  summary: 'Whether requests can be served',
  description: `
\`ready\`: reads and writes; \`degraded\`: only reads (the disk is full), or a damaged file was left
out; \`not ready\`: neither. For a readiness probe.`,
  answers: {
    200: { description: 'They can.', content: ofJson('Readiness', { ready: examples.READY }) },
    503: {
      description: 'They cannot, at the moment.',
      content: ofJson('Readiness', { starting: examples.NOT_READY }),
      headers: ['RetryAfter'],
    },
  },
};

export const getMetrics: Operation = {
  id: 'getMetrics',
  tag: 'Operations',
  summary: 'Metrics for Prometheus',
  description: 'In the text format of Prometheus.',
  answers: {
    200: {
      description: 'The metrics.',
      content: {
        'text/plain': {
          schema: { type: 'string' },
          examples: {
            metrics:
              '# HELP memtrace_writes_total Acknowledged events.\n' +
              '# TYPE memtrace_writes_total counter\nmemtrace_writes_total 1204\n',
          },
        },
      },
    },
  },
};

export const getOpenApi: Operation = {
  id: 'getOpenApi',
  tag: 'Operations',
  summary: 'This description',
  description: 'OpenAPI 3.1, with the limits of this server.',
  answers: {
    200: {
      description: 'The document.',
      content: ofJson({ type: 'object' }, { document: { openapi: '3.1.1' } }),
    },
  },
};

export const getReference: Operation = {
  id: 'getReference',
  tag: 'Operations',
  summary: 'This description for people',
  description: 'A page for browsers; it loads nothing from anywhere else.',
  answers: {
    200: {
      description: 'The page.',
      content: {
        'text/html': { schema: { type: 'string' }, examples: { page: '<!doctype html>' } },
      },
    },
  },
};

import { bytes, duration } from './option.js';

/** The section [scrub] of the option table. */
export const SCRUB = {
  text: 'Every file is read again now and then, so that damage shows before it is needed.',
  options: {
    interval: duration('7d', 'Within which time every file is read once.', {
      min: '0s',
      max: '365d',
      zero: 'no file is read but for answers',
    }),
    rate: bytes('8MiB', 'Bytes that are read in a second at most.', {
      min: '64KiB',
      max: '10GiB',
    }),
  },
};

/**
 * The key of a file's own metadata under which a flush notes what it wrote. Apart from inspect.ts,
 * whose reader takes 15 ms to load and is wanted in its own thread only.
 */
export const NOTE_KEY = 'memtrace';

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;

/** Whether a text may be the key of an object, or the folder before it; see objects.ts. */
export function isKey(key: string): boolean {
  return key.length < 1024 && key.split('/').every((segment) => SEGMENT.test(segment));
}

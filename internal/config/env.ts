/** The environment variables of a process. */
export type Env = Readonly<Record<string, string | undefined>>;

/** The environment of this process: the only place of the program that reads it. */
export function processEnv(): Env {
  return process.env;
}

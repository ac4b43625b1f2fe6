/** The part of autocannon that the fallback uses; the package ships no types. */
declare module 'autocannon' {
  interface Request {
    body?: string;
  }
  interface Options {
    url: string;
    connections: number;
    duration: number;
    method: string;
    headers: Record<string, string>;
    requests: { setupRequest(request: Request): Request }[];
  }
  interface Result {
    requests: { total: number };
    duration: number;
    latency: { p50: number; p99: number };
    non2xx: number;
    errors: number;
  }
  export default function autocannon(options: Options): Promise<Result>;
}

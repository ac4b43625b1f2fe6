/**
 * What Alertmanager sends to a webhook (its format, version 4), as far as a message needs it:
 * https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 */
export interface Notification {
  status: Status;
  externalUrl: string;
  alerts: readonly Alert[];
  /** Alerts that Alertmanager left out of this notification. */
  truncated: number;
}

export type Status = 'firing' | 'resolved';

export interface Alert {
  status: Status;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  startsAt: Date;
  /** null while it fires. */
  endsAt: Date | null;
}

/** The notification, or what is wrong with the body in one sentence. */
export function decodeNotification(text: string): Notification | string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return 'the body is no JSON';
  }
  if (!isRecord(body)) return 'the body is no object';
  const { status, alerts, externalURL, truncatedAlerts } = body;
  if (!isStatus(status)) return 'status must be "firing" or "resolved"';
  if (!Array.isArray(alerts) || alerts.length === 0) return 'alerts must be a list of at least one';
  const decoded = alerts.map(decodeAlert);
  const bad = decoded.indexOf(null);
  if (bad >= 0) return `alerts[${bad}] is no alert`;
  return {
    status,
    externalUrl: typeof externalURL === 'string' ? externalURL : '',
    alerts: decoded.filter((alert) => alert !== null),
    truncated: typeof truncatedAlerts === 'number' ? truncatedAlerts : 0,
  };
}

function decodeAlert(value: unknown): Alert | null {
  if (!isRecord(value) || !isStatus(value['status'])) return null;
  const startsAt = new Date(String(value['startsAt']));
  if (Number.isNaN(startsAt.getTime())) return null;
  return {
    status: value['status'],
    labels: texts(value['labels']),
    annotations: texts(value['annotations']),
    startsAt,
    endsAt: endOf(value['status'], String(value['endsAt'])),
  };
}

/** While an alert fires, its end is year 1 or when it would be taken for over. */
function endOf(status: Status, text: string): Date | null {
  const end = new Date(text);
  return status === 'firing' || Number.isNaN(end.getTime()) ? null : end;
}

function texts(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

function isStatus(value: unknown): value is Status {
  return value === 'firing' || value === 'resolved';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import type { Alert, Notification } from './notification.js';

export const LANGUAGES = ['zh', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

/** A message for people: markdown, with a title that phones show. */
export interface Message {
  title: string;
  markdown: string;
}

export interface Style {
  language: Language;
  /** Put before the `runbook` annotation of an alert; '' leaves runbooks out. */
  runbookBase: string;
  /** IANA time zone of the times shown, e.g. `Asia/Shanghai`. */
  timeZone: string;
}

/** DingTalk takes 20,000 bytes; ten alerts of the longest kind stay below. */
const MAX_ALERTS = 10;
const MAX_TEXT = 400;

const WORDS = {
  zh: {
    firing: '告警',
    resolved: '已恢复',
    severity: '级别',
    instance: '实例',
    since: '开始',
    until: '结束',
    runbook: '处理手册',
    open: '打开 Alertmanager',
    more: (n: number) => `另有 ${n} 条未列出`,
    critical: '严重',
    warning: '警告',
  },
  en: {
    firing: 'FIRING',
    resolved: 'RESOLVED',
    severity: 'Severity',
    instance: 'Instance',
    since: 'Since',
    until: 'Until',
    runbook: 'Runbook',
    open: 'Open Alertmanager',
    more: (n: number) => `${n} more are not shown`,
    critical: 'critical',
    warning: 'warning',
  },
} as const;

/** The text of one notification: the firing alerts first, each with its summary and runbook. */
export function renderMessage(notification: Notification, style: Style): Message {
  const words = WORDS[style.language];
  const { alerts, truncated, status, externalUrl } = notification;
  const sorted = [...alerts].sort((a, b) => firing(b) - firing(a));
  const shown = sorted.slice(0, MAX_ALERTS);
  const names = [...new Set(sorted.map(({ labels }) => labels['alertname'] ?? '?'))];
  const title = `${words[status]} (${alerts.length + truncated}) ${names.slice(0, 3).join(', ')}`;
  const hidden = alerts.length - shown.length + truncated;
  const parts = [
    `### ${plain(title)}`,
    ...shown.map((alert) => paragraph(alert, style)),
    ...(hidden > 0 ? [words.more(hidden)] : []),
    ...(externalUrl === '' ? [] : [`[${words.open}](${externalUrl})`]),
  ];
  return { title: oneLine(title), markdown: parts.join('\n\n') };
}

const firing = (alert: Alert) => Number(alert.status === 'firing');

function paragraph(alert: Alert, style: Style): string {
  const { language, runbookBase } = style;
  const words = WORDS[language];
  const { labels, annotations } = alert;
  const severity = labels['severity'] ?? '';
  const known = severity === 'critical' || severity === 'warning' ? words[severity] : severity;
  const lines = [
    `**${words[alert.status]} ${plain(labels['alertname'] ?? '?')}**`,
    plain(summaryOf(annotations, language)),
    field(words.severity, known),
    field(words.instance, labels['instance'] ?? labels['pod'] ?? ''),
    field(words.since, time(alert.startsAt, style)),
    field(words.until, alert.endsAt === null ? '' : time(alert.endsAt, style)),
  ];
  const runbook = annotations['runbook'] ?? '';
  if (runbook !== '' && runbookBase !== '') {
    lines.push(`- [${words.runbook}](${runbookUrl(runbookBase, runbook, language)})`);
  }
  return lines.filter((line) => line !== '').join('\n\n');
}

function summaryOf(annotations: Alert['annotations'], language: Language): string {
  const own = language === 'zh' ? annotations['summary_zh'] : annotations['summary'];
  return own ?? annotations['summary'] ?? annotations['description'] ?? '';
}

function field(name: string, value: string): string {
  return value === '' ? '' : `- ${name}: ${plain(value)}`;
}

/** `docs/runbooks.md#x` has its Chinese sections in `docs/runbooks.zh-CN.md`. */
function runbookUrl(base: string, runbook: string, language: Language): string {
  const path = language === 'zh' ? runbook.replace(/\.md(?=#|$)/, '.zh-CN.md') : runbook;
  return `${base.replace(/\/$/, '')}/${path}`;
}

/** What could open a heading, an emphasis, a link or HTML, and what is shown in its place. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  '[': '［',
  ']': '］',
  '<': '＜',
  '>': '＞',
  '#': '＃',
  '*': '＊',
  '`': "'",
};

/**
 * Labels and summaries are data, never structure. Not by backslashes: whether DingTalk's clients
 * honour them is not written anywhere.
 */
function plain(text: string): string {
  return oneLine(text).replace(/[[\]<>#*`]/g, (character) => LOOKALIKES[character] ?? '');
}

function oneLine(text: string): string {
  const characters = [...text.replace(/\s+/g, ' ')];
  const cut = characters.length > MAX_TEXT;
  return cut ? `${characters.slice(0, MAX_TEXT).join('')}…` : characters.join('');
}

function time(date: Date, { timeZone }: Style): string {
  return date.toLocaleString('sv-SE', { timeZone, timeZoneName: 'short' });
}

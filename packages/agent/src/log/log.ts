import { type Clock, type LogLevel, logLevels, type Role } from '@oneflower/contract';

/** What a line says beside its message. */
export interface LogDetail {
  logger?: string;
  event?: string;
  data?: unknown;
  /** Where it comes from, when that is not the calling line. */
  source?: string;
}

export interface LogSettings {
  level: LogLevel;
  format: 'text' | 'json';
  role: Role | 'unknown';
}

/** The agent's log: one line per message on stdout, as text or JSON. Never given a secret. */
export interface Log {
  debug(message: string, detail?: LogDetail): void;
  info(message: string, detail?: LogDetail): void;
  warning(message: string, detail?: LogDetail): void;
  error(message: string, detail?: LogDetail): void;
  write(level: LogLevel, message: string, detail?: LogDetail): void;
  /** Changes level, format and role for all lines from here on. */
  configure(settings: Partial<LogSettings>): void;
}

/** Makes a log that hands finished lines, with their line end, to `sink`. */
export function createLog(sink: (line: string) => void, clock: Clock): Log {
  const settings: LogSettings = { level: 'INFO', format: 'text', role: 'unknown' };
  function write(level: LogLevel, message: string, detail: LogDetail = {}): void {
    if (logLevels.indexOf(level) < logLevels.indexOf(settings.level)) return;
    const line = { level, message, detail, timestamp: new Date(clock.now()).toISOString(), role: settings.role };
    sink(settings.format === 'json' ? renderJson(line) : renderText(line));
  }
  return {
    debug: (message, detail) => write('DEBUG', message, detail),
    info: (message, detail) => write('INFO', message, detail),
    warning: (message, detail) => write('WARNING', message, detail),
    error: (message, detail) => write('ERROR', message, detail),
    write,
    configure: changed => void Object.assign(settings, changed),
  };
}

interface Line {
  timestamp: string;
  level: LogLevel;
  role: string;
  message: string;
  detail: LogDetail;
}

/** The fields of the structured log, one compact object a line. */
function renderJson({ timestamp, level, role, message, detail }: Line): string {
  const { logger = 'oneflower', event, data, source = callerOf() } = detail;
  const fields = { timestamp, level, logger, role, message, source };
  return `${JSON.stringify({ ...fields, ...(event ? { event } : {}), ...(data === undefined ? {} : { data }) })}\n`;
}

function renderText({ timestamp, level, message, detail }: Line): string {
  const origin = detail.logger && detail.logger !== 'oneflower' ? ` [${detail.logger}]` : '';
  return `[${timestamp}] [${level}]${origin} ${escapeControls(message)}\n`;
}

/** A message may hold what another machine sent: no line of it may look like a line of the log. */
function escapeControls(text: string): string {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '?').replaceAll('\n', '\n    ');
}

/** File and line of the first caller outside this folder. */
function callerOf(): string {
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  const frame = frames.find(line => !line.includes('/log/log.ts') && line.includes(':')) ?? frames.at(-1) ?? '';
  const match = /([^/\\\s(]+):(\d+):\d+\)?$/.exec(frame);
  return match ? `${match[1]}:${match[2]}` : 'agent';
}

export { answerError, answerJson, answerNotFound } from './answers.ts';
export { createGate } from './server.ts';
export type {
  Gate,
  HostPort,
  HttpHandler,
  HttpRequest,
  HttpResponse,
  TlsMaterial,
  Upstream,
} from './types.ts';

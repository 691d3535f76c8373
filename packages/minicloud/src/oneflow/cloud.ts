import type { XmlRpcValue } from '@oneflower/opennebula';
import type { Oned } from '../interfaces.ts';
import type { JsonObject } from './json.ts';
import { Refusal } from './refusal.ts';
import { type OwnedDocument, readDocument, readPool } from './wire.ts';

/** Document types: what OneFlow keeps in oned. */
export const documentTypes = { service: 100, template: 101 } as const;
export type DocumentType = (typeof documentTypes)[keyof typeof documentTypes];

/** oned's error numbers that have an HTTP status of their own; all others are 500. */
const statusOfErrno: Readonly<Record<number, number>> = { 256: 401, 512: 401, 1024: 404 };

const ALL_VISIBLE = -2;
const ANY_ID = -1;
const LAST_ID = 2 ** 31 - 1;
/** The fault of an oned whose answer holds a character that it cannot give. */
const CANNOT_ANSWER = -500;

/** Ids, both ends included. */
interface IdRange {
  start: number;
  end: number;
}

/** oned as OneFlow uses it: calls with somebody's session; a refusal becomes the HTTP answer OneFlow gives. */
export class Cloud {
  readonly #oned: Oned;

  constructor(oned: Oned) {
    this.#oned = oned;
  }

  /**
   * One call.
   *
   * @throws Refusal with oned's own sentence: 401 for access, 404 for an unknown object, else 500
   */
  call(session: string, method: string, ...args: XmlRpcValue[]): XmlRpcValue {
    const answer = this.#oned.call(session, method, ...args);
    if (answer.ok) return answer.value;
    throw new Refusal(statusOfErrno[answer.errno] ?? 500, answer.message);
  }

  /** Like {@link call}; oned's sentence instead of a throw. */
  attempt(session: string, method: string, ...args: XmlRpcValue[]): { value: XmlRpcValue } | { refused: string } {
    const answer = this.#oned.call(session, method, ...args);
    return answer.ok ? { value: answer.value } : { refused: answer.message };
  }

  /** Whether oned accepts the login. */
  knows(session: string): boolean {
    return this.#oned.call(session, 'one.user.info', -1).ok;
  }

  /** One document, if it is of that type: for OneFlow a document of another type does not exist. */
  document(session: string, type: DocumentType, id: number): OwnedDocument {
    const document = readDocument(String(this.call(session, 'one.document.info', id)));
    if (document.TYPE === String(type)) return document;
    throw new Refusal(404, `[one.document.info] Error getting document [${id}].`);
  }

  /**
   * All documents of a type that the session may use, newest first as oned lists them. One that cannot be read hides
   * no other: it is passed over, and `unreadable` hears of it.
   */
  documents(
    session: string,
    type: DocumentType,
    unreadable: (id: number, refusal: string) => void = () => undefined,
  ): OwnedDocument[] {
    const read = ({ start, end }: IdRange) =>
      this.#oned.call(session, 'one.documentpool.info', ALL_VISIBLE, start, end, type);
    const within = (range: IdRange): OwnedDocument[] => {
      const answer = read(range);
      if (answer.ok) return readPool(String(answer.value));
      if (answer.errno !== CANNOT_ANSWER) throw new Refusal(statusOfErrno[answer.errno] ?? 500, answer.message);
      const { start, end } = range.start === ANY_ID ? { start: 0, end: LAST_ID } : range;
      if (start === end) {
        unreadable(start, answer.message);
        return [];
      }
      const middle = Math.floor((start + end) / 2);
      return [...within({ start: middle + 1, end }), ...within({ start, end: middle })];
    };
    return within({ start: ANY_ID, end: ANY_ID });
  }

  /** Makes a document and returns its id. */
  allocate(session: string, type: DocumentType, body: JsonObject): number {
    const text = `<TEMPLATE><NAME>${escapeXml(String(body.name))}</NAME>${bodyXml(body)}</TEMPLATE>`;
    refuseBeyondBmp(text);
    return Number(this.call(session, 'one.document.allocate', text, type));
  }

  /** Replaces a document's body. */
  update(session: string, id: number, body: JsonObject): void {
    const text = `<TEMPLATE>${bodyXml(body)}</TEMPLATE>`;
    refuseBeyondBmp(text);
    this.call(session, 'one.document.update', id, text, 0);
  }
}

function bodyXml(body: JsonObject): string {
  return `<BODY><![CDATA[${JSON.stringify(body)}]]></BODY>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Between the two real servers lies XML-RPC, whose library there knows only the Basic Multilingual Plane. */
function refuseBeyondBmp(text: string): void {
  const stray = /[\u{10000}-\u{10ffff}]/u.exec(text)?.[0];
  if (stray === undefined) return;
  const first = Buffer.from(stray)[0]?.toString(16) ?? '';
  throw new Refusal(
    500,
    `Call XML not a proper XML-RPC call.  ${Buffer.byteLength(text)}-byte supposed UTF-8 string is not valid UTF-8.  ` +
      `UTF-8 string contains a character not in the Basic Multilingual Plane (first byte 0xffffff${first})`,
  );
}

export type XmlErrorKind = 'too-large' | 'not-well-formed' | 'doctype';

/** Why a text is no acceptable XML. Callers turn it into the error of what they were reading. */
export class XmlError extends Error {
  readonly kind: XmlErrorKind;

  constructor(kind: XmlErrorKind, message: string) {
    super(message);
    this.name = 'XmlError';
    this.kind = kind;
  }
}

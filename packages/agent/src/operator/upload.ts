import { type Readable, Transform } from 'node:stream';
import type { HttpRequest } from '../gate/index.ts';
import { refusal } from './answers.ts';

/** An app with its bundled data; models come back another way. */
const largestUpload = 256 * 1024 * 1024;

/**
 * The body of a request as a stream that ends in an error when it is too large or breaks off, while the connection
 * stays for the answer.
 *
 * @throws OneFlowerError `archive-too-large` when the request announces it.
 */
export function limitedBody(request: HttpRequest, limit = largestUpload): Readable {
  const tooLarge = refusal(
    'archive-too-large',
    `The app is larger than ${limit / 1024 / 1024} MiB.`,
    'Leave data and environments out of its folder.',
  );
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge;
  let length = 0;
  const body = new Transform({
    transform(part: Buffer, _encoding, done) {
      length += part.length;
      done(length > limit ? tooLarge : null, part);
    },
  });
  body.on('error', () => {
    request.unpipe(body);
    request.resume();
  });
  request.on('close', () => {
    if (!request.readableEnded) body.destroy(new Error('The upload broke off.'));
  });
  return request.pipe(body);
}

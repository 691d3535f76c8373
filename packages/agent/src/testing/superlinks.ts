import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Clock, defaultFlowerVersion } from '@oneflower/contract';
import { issueCa, issueLeaf, type KeyPair } from '../certificates/issue.ts';
import { createSite, type Site } from '../site/index.ts';
import { createNodeBook, type NodeBook } from '../site/testing.ts';

export const joinToken = 'a-join-token-of-this-test';

/** The site of a SuperLink over real TLS, whose Flower is a book. */
export interface TestSuperLink {
  /** HOST:PORT. */
  endpoint: string;
  authority: KeyPair;
  site: Site;
  book: NodeBook;
  /** While false everything is answered with 503. */
  isUp: boolean;
  /** Takes it off the network. */
  close(): void;
}

export interface SuperLinkOptions {
  /** For its state; exists. */
  folder: string;
  address: string;
  clock: Clock;
  authority?: KeyPair;
  /** 0, the default, is any. */
  port?: number;
}

export async function startSuperLink(options: SuperLinkOptions): Promise<TestSuperLink> {
  const { folder, address, clock } = options;
  const book = createNodeBook();
  const authority = options.authority ?? (await issueCa(Date.now()));
  const leaf = await issueLeaf(authority, [{ type: 'ip', value: address }], Date.now());
  const site = await createSite({
    ...{ stateFile: join(folder, `site-${address}.json`), joinToken, flowerVersion: defaultFlowerVersion, tls: true },
    ...{ control: book, clock, fewestNodes: 1, nodeRole: async () => undefined },
    ...{ emit: () => undefined, warn: () => undefined },
  });
  const server = https.createServer({ cert: leaf.certificatePem, key: leaf.keyPem }, (request, response) => {
    if (superLink.isUp) site.handle(request, response);
    else response.writeHead(503).end('{}');
  });
  await once(server.listen(options.port ?? 0, address), 'listening');
  const superLink: TestSuperLink = {
    endpoint: `${address}:${(server.address() as AddressInfo).port}`,
    ...{ authority, site, book, isUp: true },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return superLink;
}

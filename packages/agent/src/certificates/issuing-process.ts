import { issueCa, issueLeaf, type KeyPair } from './issue.ts';
import type { Issued, Order } from './issuer.ts';

/** The program of an issuer's process: one certificate an order, until who gives them disconnects. */
export function serveOrders(): void {
  process.on('message', async (order: Order) => {
    process.send?.(await answerTo(order));
  });
}

async function answerTo(order: Order): Promise<Issued> {
  try {
    return { pair: await issued(order) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function issued(order: Order): Promise<KeyPair> {
  return order.kind === 'ca' ? issueCa(order.now) : issueLeaf(order.ca, order.names, order.now);
}

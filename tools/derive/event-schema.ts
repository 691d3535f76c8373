import { events } from '@oneflower/contract';
import * as z from 'zod';

/** JSON Schema of the events that our code inside Flower writes, by event name; Python's tests hold its lines against it. */
export function renderEventSchema(): string {
  const schemas = Object.entries(events)
    .filter(([, entry]) => entry.from === 'app')
    .map(([name, entry]) => [name, z.toJSONSchema(entry.data)]);
  return `${JSON.stringify(Object.fromEntries(schemas), undefined, 2)}\n`;
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Store, type Table } from './store.ts';
import { openTestCloud, session } from './testing/cloud.ts';

interface Thing {
  id: number;
  colour: string;
  old?: boolean;
}

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(): { store: Store; things: Table<Thing> } {
  const store = new Store(join(folder, 'state.db'));
  return { store, things: store.table<Thing>('thing', options) };
}

const options = {
  archived: (thing: Thing) => thing.old ?? false,
  indexes: { colour: (thing: Thing) => [thing.colour] },
};

describe('the store', () => {
  it('undoes all of a transaction that fails, but for the ids it took', () => {
    const store = new Store(':memory:');
    const things = store.table<Thing>('thing', options);
    store.transaction(() => things.put({ id: store.takeId('thing'), colour: 'red' }));
    expect(() =>
      store.transaction(() => {
        things.put({ id: 0, colour: 'blue' });
        things.put({ id: store.takeId('thing'), colour: 'blue' });
        expect(things.get(0)?.colour).toBe('blue');
        expect(things.list()).toHaveLength(2);
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(things.list()).toEqual([{ id: 0, colour: 'red' }]);
    expect([...things.lookup('colour', 'blue')]).toEqual([]);
    expect(store.nextId('thing')).toBe(2);
    store.close();
  });

  it('finds by index what was changed, and nothing under the old key', () => {
    const store = new Store(':memory:');
    const things = store.table<Thing>('thing', options);
    store.transaction(() => things.put({ id: 1, colour: 'red' }));
    store.transaction(() => things.put({ id: 1, colour: 'blue' }));
    expect([...things.lookup('colour', 'red')]).toEqual([]);
    expect([...things.lookup('colour', 'blue')]).toEqual([1]);
    store.close();
  });

  it('keeps finished objects on disk only, and gives them when asked', () => {
    const first = open();
    first.store.transaction(() => {
      first.things.put({ id: 1, colour: 'red', old: true });
      first.things.put({ id: 2, colour: 'red' });
    });
    const again = open();
    expect(again.things.list().map(thing => thing.id)).toEqual([2]);
    expect(again.things.archive().map(thing => thing.id)).toEqual([1]);
    expect(again.things.get(1)).toEqual({ id: 1, colour: 'red', old: true });
    first.store.close();
    again.store.close();
  });
});

describe('a state file that cannot be written', () => {
  it('refuses the call, changes nothing, and works again when it can', async () => {
    const file = join(folder, 'oned.db');
    const errors: unknown[] = [];
    const cloud = await openTestCloud({ file, onError: error => errors.push(error) });
    const other = new DatabaseSync(file);
    other.exec('ALTER TABLE document RENAME TO gone');
    const answer = cloud.oned.call(session, 'one.document.allocate', 'A="1"', 7);
    expect(answer).toMatchObject({ ok: false, errno: 8192 });
    expect(cloud.call('one.documentpool.info', -2, -1, -1, 7)).toBe('<DOCUMENT_POOL></DOCUMENT_POOL>');
    other.exec('ALTER TABLE gone RENAME TO document');
    expect(cloud.oned.call(session, 'one.document.allocate', 'A="1"', 7).ok).toBe(true);
    expect(errors).toHaveLength(1);
    other.close();
    cloud.oned.close();
  });

  it('notes the end of an action once it can', async () => {
    const file = join(folder, 'oned.db');
    const cloud = await openTestCloud({ file });
    const id = cloud.vm();
    const other = new DatabaseSync(file);
    other.exec('ALTER TABLE vm RENAME TO gone');
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('1/0');
    other.exec('ALTER TABLE gone RENAME TO vm');
    await cloud.clock.advance(2000);
    expect(cloud.stateOf(id)).toBe('3/3');
    other.close();
    cloud.oned.close();
  });
});

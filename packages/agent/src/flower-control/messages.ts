import { createPublicKey } from 'node:crypto';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { openSshPublicKey, parseOpenSshPublicKey } from '../node-key.ts';
import type { FlowerNode, FlowerRun, FlowerRunStatus, LogChunk } from './types.ts';

/*
 * The few messages of `flwr.proto` that OneFlower exchanges with the Control API, by field number. Unknown fields are
 * skipped, so releases that add some are read alike (the same in 1.39 and 1.41).
 */

/** RegisterNodeRequest: the key as PEM, byte for byte as Flower's command line sends it. */
export function registerNodeRequest(publicKeyPem: string, name: string): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(Buffer.from(publicKeyPem));
  return writer.tag(3, WireType.LengthDelimited).string(name).finish();
}

/** A request whose only field, number 1, is an id: UnregisterNode, StopRun. */
export function idRequest(id: string): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).uint64(id).finish();
}

/** ListRunsRequest: the newest `limit` runs. */
export function listRunsRequest(limit: number): Uint8Array {
  return new BinaryWriter().tag(2, WireType.Varint).uint64(limit).finish();
}

/** StreamLogsRequest. */
export function streamLogsRequest(runId: string, after: number): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.Varint).uint64(runId);
  return writer.tag(2, WireType.Bit64).double(after).finish();
}

/** RegisterNodeResponse. */
export function readNodeId(bytes: Uint8Array): string {
  let nodeId = '0';
  readFields(bytes, { 1: reader => (nodeId = String(reader.uint64())) });
  return nodeId;
}

/** StopRunResponse. */
export function readSuccess(bytes: Uint8Array): boolean {
  let success = false;
  readFields(bytes, { 1: reader => (success = reader.bool()) });
  return success;
}

/** ListNodesResponse. */
export function readNodes(bytes: Uint8Array): FlowerNode[] {
  const nodes: FlowerNode[] = [];
  readFields(bytes, { 1: reader => nodes.push(readNode(reader.bytes())) });
  return nodes;
}

/** ListRunsResponse, newest first. */
export function readRuns(bytes: Uint8Array): FlowerRun[] {
  const runs: FlowerRun[] = [];
  readFields(bytes, {
    1: reader => readFields(reader.bytes(), { 2: entry => runs.push(readRun(entry.bytes())) }),
  });
  return runs.sort((a, b) => b.pendingAt.localeCompare(a.pendingAt));
}

/** StreamLogsResponse. */
export function readLogChunk(bytes: Uint8Array): LogChunk {
  const chunk: LogChunk = { text: '', latest: 0 };
  readFields(bytes, {
    1: reader => (chunk.text = reader.string()),
    2: reader => (chunk.latest = reader.double()),
  });
  return chunk;
}

function readNode(bytes: Uint8Array): FlowerNode {
  const node: FlowerNode = {
    nodeId: '0',
    publicKey: '',
    name: '',
    status: 'registered',
    registeredAt: '',
    lastActivatedAt: '',
    lastDeactivatedAt: '',
    unregisteredAt: '',
  };
  readFields(bytes, {
    1: reader => (node.nodeId = String(reader.uint64())),
    4: reader => (node.status = readStatus(reader.string())),
    5: reader => (node.registeredAt = reader.string()),
    6: reader => (node.lastActivatedAt = reader.string()),
    7: reader => (node.lastDeactivatedAt = reader.string()),
    8: reader => (node.unregisteredAt = reader.string()),
    11: reader => (node.publicKey = openSshLine(reader.bytes())),
    13: reader => (node.name = reader.string()),
  });
  return node;
}

function readRun(bytes: Uint8Array): FlowerRun {
  const run: FlowerRun = {
    runId: '0',
    fabId: '',
    fabVersion: '',
    status: 'pending',
    subStatus: '',
    details: '',
    pendingAt: '',
    startingAt: '',
    runningAt: '',
    finishedAt: '',
  };
  readFields(bytes, {
    1: reader => (run.runId = String(reader.uint64())),
    2: reader => (run.fabId = reader.string()),
    3: reader => (run.fabVersion = reader.string()),
    6: reader => (run.pendingAt = reader.string()),
    7: reader => (run.startingAt = reader.string()),
    8: reader => (run.runningAt = reader.string()),
    9: reader => (run.finishedAt = reader.string()),
    10: reader =>
      readFields(reader.bytes(), {
        1: status => (run.status = readRunStatus(status.string())),
        2: status => (run.subStatus = status.string()),
        3: status => (run.details = status.string()),
      }),
  });
  return run;
}

type FieldReader = (reader: BinaryReader) => unknown;

function readFields(bytes: Uint8Array, fields: Readonly<Record<number, FieldReader>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const read = fields[number];
    if (read) read(reader);
    else reader.skip(wireType);
  }
}

function readStatus(text: string): FlowerNode['status'] {
  const known = (['registered', 'online', 'offline', 'unregistered'] as const).find(status => status === text);
  return known ?? 'offline';
}

function readRunStatus(text: string): FlowerRunStatus {
  const known = (['pending', 'starting', 'running', 'finished'] as const).find(status => status === text);
  return known ?? 'pending';
}

/** Flower keeps keys as PEM; a node without a key has random bytes there. */
function openSshLine(pem: Uint8Array): string {
  try {
    return openSshPublicKey(createPublicKey(Buffer.from(pem)));
  } catch {
    return '';
  }
}

/** The PEM form of an OpenSSH line, or undefined when it is none. */
export function pemOf(publicKey: string): string | undefined {
  const pem = parseOpenSshPublicKey(publicKey)?.export({ type: 'spki', format: 'pem' });
  return pem === undefined ? undefined : String(pem);
}

import type { AddressRange } from './infrastructure.ts';

/** An IPv4 address as a number; undefined when it is none. */
export function ipToNumber(ip: string): number | undefined {
  const parts = ip.split('.');
  if (parts.length !== 4 || parts.some(part => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return undefined;
  return parts.reduce((total, part) => total * 256 + Number(part), 0);
}

/** A number as an IPv4 address. */
export function numberToIp(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** The address at an index of a range. */
export function ipAt(range: AddressRange, index: number): string | undefined {
  const first = range.ip === undefined ? undefined : ipToNumber(range.ip);
  return first === undefined ? undefined : numberToIp(first + index);
}

/** The hardware address at an index of a range: the first one plus the index. */
export function macAt(range: AddressRange, index: number): string {
  const first = Number.parseInt(range.mac.replaceAll(':', ''), 16);
  const text = (first + index).toString(16).padStart(12, '0');
  return (text.match(/../g) ?? []).join(':');
}

/** oned's hardware address of an IPv4 address: prefix 02:00 and the four bytes. */
export function macOf(ip: number): string {
  const bytes = [24, 16, 8, 0].map(shift => Math.floor(ip / 2 ** shift) % 256);
  return ['02', '00', ...bytes.map(byte => byte.toString(16).padStart(2, '0'))].join(':');
}

/** The index of an address in a range, if it is in it. */
export function indexOf(range: AddressRange, ip: string): number | undefined {
  const first = range.ip === undefined ? undefined : ipToNumber(range.ip);
  const wanted = ipToNumber(ip);
  if (first === undefined || wanted === undefined) return undefined;
  const index = wanted - first;
  return index >= 0 && index < range.size ? index : undefined;
}

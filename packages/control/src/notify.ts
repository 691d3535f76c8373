import type { FlowerEvent } from '@oneflower/contract';

/** Progress of what control does, for whoever shows it. Every front end makes its own words of these. */
export type Progress =
  | { type: 'warning'; message: string }
  | { type: 'template_registered'; kind: 'vm' | 'service'; name: string; id: number; reused: boolean }
  | { type: 'service_created'; name: string; id: number }
  | { type: 'service_state'; name: string; state: string }
  | { type: 'vm_state'; vm: string; id: number; role: string; state: string; ip: string | null }
  | { type: 'vm_waiting'; vm: string; id: number; message: string }
  | { type: 'vm_ready'; vm: string; id: number; role: string }
  | { type: 'vm_error'; vm: string; id: number; role: string; code: string; text: string }
  | { type: 'flower_event'; seq: number; event: FlowerEvent }
  | { type: 'connection_lost'; reason: string }
  | { type: 'connection_restored' }
  | { type: 'superlink_replaced'; service: string; vmId: number; sha256: string }
  | { type: 'app_packed'; files: number; bytes: number }
  | { type: 'recovering'; name: string; state: string }
  | { type: 'removal_started'; name: string; id: number }
  | { type: 'download_progress'; file: string; bytes: number; of: number };

/** Takes progress as it happens. Must not throw. */
export type Notify = (progress: Progress) => void;

export function ignoreProgress(): void {}
